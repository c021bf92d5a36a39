# scoresde web, for whoever gets its link: docker build -t scoresde . && docker run -p 8000:8000 -v scoresde:/data scoresde
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Torch for processors alone is a tenth of the size of that for GPUs.
RUN pip install --index-url https://download.pytorch.org/whl/cpu "torch>=2.10,!=2.13.0" "torchvision>=0.25"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY scoresde scoresde
RUN pip install "scoresde[web] @ file:///src" && rm -rf /src/*

RUN useradd --create-home --uid 1000 visitor && mkdir /data && chown 1000 /data
USER 1000
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8000/', timeout=4)"]
ENTRYPOINT ["scoresde", "web", "--host", "0.0.0.0", "--catalogue", "/data/catalogue.sqlite"]
