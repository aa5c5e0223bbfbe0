#!/bin/sh
# Install the real servers that tests/integration starts: Redis, Kafka, mosquitto, a GStreamer RTSP server.
#
# usage: tests/services/install.sh
# Safe to run again: what is there is left alone. As root on Debian it installs packages; without
# root it installs what needs none, warns about each missing service, and still exits 0, because the
# tests of a missing service are skipped with a reason (and fail where CI=true).
set -eu

cd "$(dirname "$0")/../.."
kafka_lib=.services/kafka/lib
gst="gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-rtsp"

say() { printf '%s\n' "services: $*"; }
warn() { printf '%s\n' "services: WARNING: $*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
has_gst() {
    /usr/bin/python3 -c "import gi
gi.require_version('GstRtspServer', '1.0')
gi.require_version('GstApp', '1.0')" 2>/dev/null
}

missing=""
has redis-server || missing="$missing redis-server"
has mosquitto && has mosquitto_passwd || missing="$missing mosquitto"
has java || missing="$missing default-jre-headless"
has mvn || [ -d "$kafka_lib" ] || missing="$missing maven"
has_gst || missing="$missing $gst"

if [ -z "$missing" ]; then
    say "packages: all there"
elif [ "$(id -u)" = 0 ] && has apt-get; then
    say "apt-get install:" $missing
    # shellcheck disable=SC2086  # one word per package
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
        warn "apt-get failed; the services below stay missing"
fi

if [ -d "$kafka_lib" ]; then
    say "kafka: jars are in $kafka_lib"
elif has mvn; then
    say "kafka: fetching jars into $kafka_lib"
    part="$PWD/$kafka_lib.part"
    rm -rf "$part"
    if mvn -q -B -f tests/services/kafka/pom.xml \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$part"; then
        mv "$part" "$kafka_lib"
    else
        warn "kafka: maven could not fetch the jars"
    fi
fi

has redis-server || warn "redis: no redis-server; its tests will be skipped"
has mosquitto || warn "mqtt: no mosquitto; its tests will be skipped"
has java && [ -d "$kafka_lib" ] || warn "kafka: no java or no jars; its tests will be skipped"
has_gst || warn "rtsp: no GstRtspServer for /usr/bin/python3; its tests will be skipped"
say "done"
