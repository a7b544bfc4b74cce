#!/bin/sh
# Second stage of the rig's guest: udev, the modules that hot-plugging would load late, then the scenarios. Whatever they do,
# the machine is switched off at their end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
/usr/bin/udevadm --version >/dev/null && /usr/lib/systemd/systemd-udevd --daemon
for module in xhci_pci usbhid hid_generic uhid evdev usbserial ftdi_sio hci_vhci; do
  busybox modprobe "$module" || echo "rig: module $module did not load"
done
udevadm trigger
udevadm settle --timeout=20
# Virtual readers that the host may have installed are no part of this machine.
mount -t tmpfs none /etc/reader.conf.d 2>/dev/null
busybox stty -F /dev/ttyS1 raw -echo 115200
cd "$SHOULI_ROOT" || exit 1
"$SHOULI_NODE" out/scripts/rig/guest-child.js
busybox poweroff -f
