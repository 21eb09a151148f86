# PruneScope in a container: the same make steps as outside, a user without rights, results in a volume.
# compose.yaml has scheduler, workers and server apart.
#   docker build -t prunescope . && docker run -p 8501:8501 -v prunescope:/data -v ./models:/models -v ./texts:/texts prunescope
# It listens on all addresses and asks for a token: `docker logs` shows the link that holds it, or set one with -e PRUNESCOPE_TOKEN=…
FROM python:3.11.14-slim-bookworm

RUN apt-get update -q \
 && apt-get install -y -q --no-install-recommends make \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 prunescope \
 && mkdir /data /keys /models /texts \
 && chown prunescope:prunescope /data /keys

WORKDIR /home/prunescope/app
RUN chown prunescope:prunescope .
USER prunescope

ENV PIP_NO_CACHE_DIR=1
COPY --chown=prunescope:prunescope Makefile requirements.txt ./
RUN make setup
COPY --chown=prunescope:prunescope . .

ENV PRUNESCOPE_HOME=/data \
    PRUNESCOPE_MODELS=/models \
    PRUNESCOPE_TEXTS=/texts
VOLUME /data
EXPOSE 8501

# Any unknown path answers 200 with a page, so the body is what tells.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD [".venv/bin/python", "-c", "import sys, urllib.request as u; sys.exit(u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read() != b'ok')"]

CMD ["make", "run", "ADDRESS=0.0.0.0"]
