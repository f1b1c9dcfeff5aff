# Written to the documentation of its parts and not yet built: the project's own checks have no container engine.
FROM python:3.13-slim AS packages
COPY requirements/prod.txt /prod.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /prod.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home observatory
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py LICENSE ./
COPY telemetry telemetry
COPY tools tools
COPY approvals approvals
COPY observatory observatory
COPY templates templates
# Static files are the image's. The values serve this command only and are in no layer's environment.
RUN OBSERVATORY_ENVIRONMENT=build SECRET_KEY=build OBSERVATORY_MASTER_SECRET=build-build-build-build-build-build \
    DATABASE_URL=postgresql://build/build REDIS_URL=redis://build ALLOWED_HOSTS=build \
    python manage.py collectstatic --no-input
USER observatory
EXPOSE 8000
# Threads wait cheaply on slow tools: 128 a worker (docs/adr). No database connection is held while one waits.
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", \
     "--blocking-threads", "128", "observatory.wsgi:application"]
