BEGIN TRANSACTION;
CREATE TABLE Cache ( rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB);
INSERT INTO "Cache" VALUES(1,'05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421221787977213e+09,NULL,1.79605421221787977213e+09,0,NULL,0,1,NULL,'sha256 cbbbfab32427cd03f519be3a94809b96ebc6bb515c0b275192663664a91094f1
{"key":"05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9","spec":{"model":"demo","revision":null,"method":{"name":"sparsegpt","block_size":64,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.6,"outlier_rows":0.1,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"state":"finished","submitted":1.0,"started":2.0,"ended":5.0,"error":null,"dense_perplexity":7.25,"pruned_perplexity":8.5,"counted_sparsity":0.5,"seconds":2.5,"pinned":true,"group":"","turn":null,"paused":false,"estimated":null,"name":"A name","note":"A note"}');
INSERT INTO "Cache" VALUES(2,'5d28a90f4498a81461efbaf6f628a19d9778390bb5c81a393dd936181cc3d826',1,1.79605421221873950954e+09,NULL,1.79605421221873950954e+09,0,NULL,0,1,NULL,'sha256 b5790441184bf7119e3f17dc3a1153fdc6576e223309e22d6498a5f45c236a75
{"key":"5d28a90f4498a81461efbaf6f628a19d9778390bb5c81a393dd936181cc3d826","spec":{"model":"demo","revision":null,"method":{"name":"thanos","block_size":128,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.5,"outlier_rows":0.0,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"state":"failed","submitted":2.0,"started":null,"ended":5.0,"error":"for a reason","dense_perplexity":null,"pruned_perplexity":null,"counted_sparsity":null,"seconds":null,"pinned":false,"group":"","turn":null,"paused":false,"estimated":null,"name":"","note":""}');
INSERT INTO "Cache" VALUES(3,'d36be6494248ee06ac18f38ea1119dfe4699fdcfcbbcc30a2e4f1ccbce68dfac',1,1.7960542122191698551e+09,NULL,1.7960542122191698551e+09,0,NULL,0,1,NULL,'sha256 02d74f3767b54e5dd3d15b0f055463b007899cac09fc0e1302863a92090f5fd8
{"key":"d36be6494248ee06ac18f38ea1119dfe4699fdcfcbbcc30a2e4f1ccbce68dfac","spec":{"model":"demo","revision":null,"method":{"name":"thanos","block_size":128,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.5,"outlier_rows":0.0,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"state":"queued","submitted":3.0,"started":null,"ended":null,"error":null,"dense_perplexity":null,"pruned_perplexity":null,"counted_sparsity":null,"seconds":null,"pinned":false,"group":"somebody-curves","turn":["somebody",1.0],"paused":true,"estimated":4.0,"name":"","note":""}');
CREATE TABLE Settings ( key TEXT NOT NULL UNIQUE, value);
INSERT INTO "Settings" VALUES('statistics',0);
INSERT INTO "Settings" VALUES('tag_index',0);
INSERT INTO "Settings" VALUES('eviction_policy','none');
INSERT INTO "Settings" VALUES('size_limit',1073741824);
INSERT INTO "Settings" VALUES('cull_limit',0);
INSERT INTO "Settings" VALUES('sqlite_auto_vacuum',1);
INSERT INTO "Settings" VALUES('sqlite_cache_size',8192);
INSERT INTO "Settings" VALUES('sqlite_journal_mode','wal');
INSERT INTO "Settings" VALUES('sqlite_mmap_size',67108864);
INSERT INTO "Settings" VALUES('sqlite_synchronous',1);
INSERT INTO "Settings" VALUES('disk_min_file_size',32768);
INSERT INTO "Settings" VALUES('disk_pickle_protocol',5);
INSERT INTO "Settings" VALUES('count',3);
INSERT INTO "Settings" VALUES('size',0);
INSERT INTO "Settings" VALUES('hits',0);
INSERT INTO "Settings" VALUES('misses',0);
CREATE UNIQUE INDEX Cache_key_raw ON Cache(key, raw);
CREATE INDEX Cache_expire_time ON Cache (expire_time);
CREATE TRIGGER Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value + 1 WHERE key = "count"; END;
CREATE TRIGGER Settings_count_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value - 1 WHERE key = "count"; END;
CREATE TRIGGER Settings_size_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value + NEW.size WHERE key = "size"; END;
CREATE TRIGGER Settings_size_update AFTER UPDATE ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value + NEW.size - OLD.size WHERE key = "size"; END;
CREATE TRIGGER Settings_size_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value - OLD.size WHERE key = "size"; END;
CREATE INDEX Listed ON Cache ((CASE WHEN json_valid(substr(value, instr(value, char(10)) + 1)) THEN json_extract(substr(value, instr(value, char(10)) + 1), '$.pinned') END) DESC, (CASE WHEN json_valid(substr(value, instr(value, char(10)) + 1)) THEN json_extract(substr(value, instr(value, char(10)) + 1), '$.submitted') END) DESC, key);
CREATE INDEX ListedByState ON Cache ((CASE WHEN json_valid(substr(value, instr(value, char(10)) + 1)) THEN json_extract(substr(value, instr(value, char(10)) + 1), '$.state') END), (CASE WHEN json_valid(substr(value, instr(value, char(10)) + 1)) THEN json_extract(substr(value, instr(value, char(10)) + 1), '$.pinned') END) DESC, (CASE WHEN json_valid(substr(value, instr(value, char(10)) + 1)) THEN json_extract(substr(value, instr(value, char(10)) + 1), '$.submitted') END) DESC, key);
COMMIT;