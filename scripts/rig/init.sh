#!/bin/busybox sh
# First process of the rig's small Debian system: mounts the host's root read-only under a memory overlay, the work tree
# beside it, and hands over to guest.sh. The kernel passes SHOULI_ROOT, SHOULI_NODE and SHOULI_EXTRA as its environment.
B=/bin/busybox
fail() {
  echo "rig: $1"
  $B poweroff -f
}
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
$B mount -t sysfs none /sys
for module in $($B cat /modules/order); do
  $B insmod "/modules/$module" || fail "module $module"
done
share=trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro
$B mount -t 9p -o $share host /host || fail 'no host root'
$B mount -t 9p -o $share work /work || fail 'no work tree'
$B mount -t tmpfs none /memory
$B mkdir -p /memory/upper /memory/work
$B mount -t overlay -o "lowerdir=/work/$SHOULI_EXTRA:/host,upperdir=/memory/upper,workdir=/memory/work" none /system ||
  fail 'no overlay'
for folder in dev proc sys; do $B mount --move /$folder /system/$folder; done
$B mkdir -p /system/dev/pts
for folder in run tmp; do $B mount -t tmpfs none /system/$folder; done
# The checkout may lie below one of these.
$B mkdir -p "/system$SHOULI_ROOT"
$B mount --move /work "/system$SHOULI_ROOT"
$B mount -t devpts none /system/dev/pts
exec $B switch_root /system /bin/sh "$SHOULI_ROOT/scripts/rig/guest.sh"
