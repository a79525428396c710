#!/bin/sh
# own-host.sh DIRECTORY COMMAND… — runs a command in a mount namespace in which /etc is a copy, and /srv, /opt, /run and
# /var/lib are empty: what it installs there is gone with it. DIRECTORY is empty, and where all of it lies.
set -e
directory=$1
shift
mount --make-rprivate /
cp -a /etc "$directory/etc"
mount --bind "$directory/etc" /etc
for place in srv opt var/lib run; do
  mkdir -p "$directory/$place"
  mount --bind "$directory/$place" "/$place"
done
exec "$@"
