# Process 1 becomes systemd, in namespaces of its own: with a network and cgroups of its own, with
# copies of what a service's installation writes, and with no unit that this machine would start.
set -eu
cgroups=/sys/fs/cgroup
step=$1
shift
if [ "$step" = outer ]; then
  mount -t cgroup2 none "$cgroups"
  mkdir "$cgroups/$1"
  echo $$ >"$cgroups/$1/cgroup.procs"
  shift
  exec unshare --cgroup --net --ipc --uts --pid --fork --kill-child --mount-proc sh "$0" inner "$@"
fi
umount "$cgroups"
mount -t cgroup2 none "$cgroups"
mount -t tmpfs none /run
cp -a /etc /run/etc
mount --bind /run/etc /etc
for hidden in /var/lib /opt /lib/systemd/system-generators /lib/systemd/system/*.wants /etc/systemd/system/*.wants; do
  [ ! -d "$hidden" ] || mount -t tmpfs none "$hidden"
done
# Of what is in somebody's home, or under /tmp, a hardened service sees nothing.
for name in python packages source; do
  mkdir "/opt/$name"
  mount --bind "$1" "/opt/$name"
  shift
done
exec env container=other /lib/systemd/systemd --unit=sysinit.target --log-target=console --log-color=no
