# The service in an image: base install and the extra `web`, no torch.
#   docker build -t grainless . && docker run --rm -p 127.0.0.1:8000:8000 grainless
FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY src src
RUN python -m venv /opt/grainless \
 && /opt/grainless/bin/pip install --no-cache-dir --disable-pip-version-check -c requirements.lock ".[web]"

FROM python:3.12-slim
COPY --from=build /opt/grainless /opt/grainless
RUN useradd --system --create-home --uid 10001 grainless
USER 10001
WORKDIR /home/grainless
ENV PATH=/opt/grainless/bin:$PATH PYTHONUNBUFFERED=1 HOME=/home/grainless
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["grainless"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
