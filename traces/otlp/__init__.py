"""OTLP/HTTP: spans and log records of the OpenTelemetry SDKs that applications already run, as decisions."""
