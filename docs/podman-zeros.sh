#!/bin/sh
# podman commits zeros: a chmod in a build FROM an image whose layer is a composefs blob in an additional image store.
# Root; needs podman 5, mkcomposefs (1.0 or composefs-rs') and a static busybox. With MOUNTOPT=nodev,metacopy=on the content is right.
set -eu
work=$(mktemp -d) && cd "$work" && mkdir -p tree/bin
cp /bin/busybox tree/bin/ && ln -s busybox tree/bin/sh && head -c 200000 /dev/urandom >tree/large
tar -C tree -cf layer.tar . && id=$(sha256sum <layer.tar | cut -c 1-64) && size=$(stat -c %s layer.tar)

# The layer as podman's own storage has it with use_composefs, in an additional image store.
layer=store/overlay/$id && mkdir -p "$layer/composefs-data" "$layer/empty" store/overlay/l store/overlay-layers store/overlay-images "store/links/$id"
mkcomposefs --digest-store=store/objects tree "$layer/composefs-data/composefs.blob"
ln -s "$work/store/objects" "store/links/$id/diff" && ln -s "$work/store/links/$id/diff" "$layer/diff"
printf ABCDEFGHIJKLMNOPQRSTUVWXYZ >"$layer/link" && ln -s "../$id/diff" store/overlay/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ
echo "[{\"id\":\"$id\",\"created\":\"2026-01-01T00:00:00Z\",\"diff-digest\":\"sha256:$id\",\"diff-size\":$size}]" >store/overlay-layers/layers.json

printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created_by":"tar"}]}' "$id" >config
config=$(sha256sum <config | cut -c 1-64)
printf '{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
    "$config" "$(stat -c %s config)" "$id" "$size" >manifest
image=store/overlay-images/$config && mkdir "$image" && cp manifest "$image/manifest"
cp config "$image/=$(printf 'sha256:%s' "$config" | base64 -w 0)"
echo "[{\"id\":\"$config\",\"digest\":\"sha256:$(sha256sum <manifest | cut -c 1-64)\",\"names\":[\"localhost/base:latest\"],\"layer\":\"$id\",\"metadata\":\"{}\",\"big-data-names\":[\"manifest\",\"sha256:$config\"],\"created\":\"2026-01-01T00:00:00Z\"}]" >store/overlay-images/images.json
touch store/overlay-layers/layers.lock store/overlay-images/images.lock

cat >storage.conf <<CONF
[storage]
driver = "overlay"
graphroot = "$work/graph"
runroot = "$work/run"
[storage.options]
additionalimagestores = ["$work/store"]
CONF
[ -z "${MOUNTOPT:-}" ] || printf '[storage.options.overlay]\nmountopt = "%s"\n' "$MOUNTOPT" >>storage.conf
export CONTAINERS_STORAGE_CONF=$work/storage.conf
mkdir context && printf 'FROM localhost/base\nRUN chmod 600 /large\n' >Containerfile
podman build -q --isolation=chroot --ulimit=nofile=20000:20000 --ulimit=nproc=2000:2000 -t derived -f Containerfile context >build.log
large=$(find graph/overlay -path "*/diff/large")
echo "/large was $(sha256sum <tree/large | cut -c 1-16), is $(sha256sum <$large | cut -c 1-16), zeros $(head -c 200000 /dev/zero | sha256sum | cut -c 1-16)"
