BEGIN TRANSACTION;
CREATE TABLE Cache ( rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB);
INSERT INTO "Cache" VALUES(1,'result-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421221953201298e+09,NULL,1.79605421221953201298e+09,0,NULL,0,1,NULL,'sha256 836ab7a0db8a0d33ff0738804ce17ee06c6e6d6a70879571e1c4b67df5fdd5d7
{"spec":{"model":"demo","revision":null,"method":{"name":"sparsegpt","block_size":64,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.6,"outlier_rows":0.1,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"revisions":{"model":"m1","calibration":"c1","evaluation":"e1","method":1,"core":1},"dense":{"perplexity":7.25,"tokens":100,"windows":2,"length":51,"text":"text","text_sha256":"ab","dtype":"float32","losses":null},"pruned":{"perplexity":8.5,"tokens":100,"windows":2,"length":51,"text":"text","text_sha256":"ab","dtype":"float32","losses":null},"counted_sparsity":0.5,"layers":[{"name":"layers.0.q","block":0,"module":"q","shape":[4,4],"counted_sparsity":0.5,"relative_error":0.1,"optimum_error":0.05,"seconds":0.1,"damping":null,"dense_rows":0,"dense_columns":0,"refitted_rows":0,"tokens":0}],"calibration":"128 windows","seconds":2.5,"stages":{"solve":1.0},"peak_memory_bytes":10,"environment":{"python":"3","torch":"2","transformers":"5","device":"cpu","threads":1,"started":0.0},"resumed_blocks":0,"tasks":null,"size":null,"speed":null,"notes":[],"export":null}');
INSERT INTO "Cache" VALUES(2,'plan-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223260521891e+09,NULL,1.79605421223260521891e+09,0,NULL,0,1,NULL,'sha256 4b88613dcfb88284ce5bfb81421c977f6904aa1a4a3e9c65d958959c840b2054
{"layers":[{"name":"q","block":0,"module":"q","rows":4,"columns":4,"pruned":8,"dense_rows":0,"dense_columns":0}],"parameters":16,"blocks":1,"context":64,"family":"llama","device":"cpu","calibration":"c","evaluation":"e","seconds":1.0,"memory_bytes":1,"disk_bytes":1,"model_bytes":0,"window_bytes":0,"note":null,"matrix_rate":null}');
INSERT INTO "Cache" VALUES(3,'dense-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223286175732e+09,NULL,1.79605421223286175732e+09,0,NULL,0,1,NULL,'sha256 26c96e9fc9a43d53b2a808d2aa409860623cd6237e730bdf0e599a5819c7f400
{"perplexity":7.25,"tokens":100,"windows":2,"length":51,"text":"text","text_sha256":"ab","dtype":"float32","losses":null}');
INSERT INTO "Cache" VALUES(4,'rate-cpu',1,1.79605421223303246495e+09,NULL,1.79605421223303246495e+09,0,NULL,0,1,NULL,'sha256 23711badf8b455962439e0b8bc3f96a16152c51e9c5d9442b00a46adcee60e17
{"rate":1000000000.0,"when":1.0}');
INSERT INTO "Cache" VALUES(5,'scores-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223318958284e+09,NULL,1.79605421223318958284e+09,0,NULL,0,1,NULL,'sha256 4a97b424124be59b85d3c0aefffa5c23c1e5724036e5ac844265ebfc962f3aad
{"acc":0.5,"acc_stderr":0.5,"examples":2,"available":4,"shots":0,"chance":0.5,"truncated":0,"version":"1","content":"c","outcomes":{"acc":"10"}}');
INSERT INTO "Cache" VALUES(6,'scored-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223350477221e+09,NULL,1.79605421223350477221e+09,0,NULL,0,1,NULL,'sha256 b6de2f98ecdf024846924dce711b9799b371fa89922873055c62c2f091a2f8e3
{"tasks":{"task":{"acc":0.5,"acc_stderr":0.5,"examples":2,"available":4,"shots":0,"chance":0.5,"truncated":0,"version":"1","content":"c","outcomes":{"acc":"10"}}}}');
INSERT INTO "Cache" VALUES(7,'scoring-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223375058179e+09,NULL,1.79605421223375058179e+09,0,NULL,0,1,NULL,'sha256 ed22c89561a6df8649ec6d9c31254087c9f4611cd81103f0b4f5fc9b569c1c3f
{"key":"05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9","spec":{"model":"demo","revision":null,"method":{"name":"sparsegpt","block_size":64,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.6,"outlier_rows":0.1,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"state":"queued","submitted":1.0,"doing":"","share":0.0,"heard":null,"error":null,"tasks":["task"],"limit":null}');
INSERT INTO "Cache" VALUES(8,'exporting-05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9',1,1.79605421223394417758e+09,NULL,1.79605421223394417758e+09,0,NULL,0,1,NULL,'sha256 ac771545e8a2fcd82639ffd141a1700af37135a2a2a8a199f61ad7ed0feb42d8
{"key":"05343e9845302eb730fa9d18ac7b28d5e509893daf1eb76ede8d6e82d47b2da9","spec":{"model":"demo","revision":null,"method":{"name":"sparsegpt","block_size":64,"damping":0.01,"raise_damping":false},"pattern":{"kind":"unstructured","sparsity":0.6,"outlier_rows":0.1,"alpha_budget":"paper"},"update":"own","refit":false,"true_sequential":false,"allocation":"even","propagation":0.0,"fisher":0.0,"calibration":{"source":"embedded","windows":128,"length":null,"seed":0},"evaluation":{"source":"embedded","windows":null,"length":null},"device":"auto","dtype":"auto"},"state":"queued","submitted":1.0,"doing":"","share":0.0,"heard":null,"error":null,"name":"model","ticket":"tttttttttttttttttttttttt","checked":""}');
INSERT INTO "Cache" VALUES(9,'queue-pause',1,1.79605421223411893839e+09,NULL,1.79605421223411893839e+09,0,NULL,0,1,NULL,'sha256 97a9b6f13e01cda5c9ab2ed5105852bffc4919f86e75cb6f1f7f0abe4a999635
{"since":1796054212.2341015}');
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
INSERT INTO "Settings" VALUES('count',9);
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
COMMIT;