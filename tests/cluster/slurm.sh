#!/usr/bin/env bash
# A real SLURM on this machine, for tests: `slurm.sh start` and `slurm.sh stop`, as root, with Debian's slurm-wlm and munge.
# All of it listens on the loopback interface alone. Its configuration lies where clients look for it without SLURM_CONF,
# which Snakemake's plugin takes away from the jobs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
link=build/slurm
found=/run/slurm/conf

running() { [ -e "$link/slurmctld.pid" ] && kill -0 "$(cat "$link/slurmctld.pid")" 2>/dev/null; }

start() {
  [ "$(id -u)" = 0 ] || { echo "slurm.sh: SLURM's daemons start jobs of users, so run this as root" >&2; exit 1; }
  for name in munged slurmctld slurmd sbatch; do
    command -v "$name" >/dev/null || { echo "slurm.sh: no $name; apt-get install slurm-wlm munge" >&2; exit 1; }
  done
  ! running || { echo "slurm.sh: SLURM runs already; slurm.sh stop" >&2; exit 1; }
  [ ! -e /etc/slurm/slurm.conf ] || { echo "slurm.sh: this machine has a SLURM of its own" >&2; exit 1; }
  local here
  here=$(mktemp -d -t slurm.XXXXXX)
  mkdir -p build "$(dirname "$found")" "$here"/{munge,state,spool,log}
  ln -sfn "$here" "$link"
  ln -sfn "$here" "$found"

  # A munge of its own: the machine's, if it has one, keeps its key.
  head -c 128 /dev/urandom >"$here/munge/key"
  chmod 400 "$here/munge/key"
  chmod 711 "$here" "$here/munge"
  chown -R munge: "$here/munge"
  runuser -u munge -- munged --socket="$here/munge/socket" --key-file="$here/munge/key" \
    --log-file="$here/munge/log" --pid-file="$here/munge/pid" --seed-file="$here/munge/seed"

  # Devices that are only counted and handed out: SLURM wants a character device, and a null device does no harm.
  for device in 0 1; do mknod "$here/gpu$device" c 1 3; done
  echo "NodeName=one Name=gpu File=$here/gpu[0-1]" >"$here/gres.conf"

  # Who held which device, and when: what SLURM runs on the node before and after each job.
  for moment in prolog epilog; do
    printf '#!/bin/sh\necho "%s $(date +%%s.%%N) $SLURM_JOB_ID ${SLURM_JOB_GPUS:--}" >>%s/devices\n' \
      "$moment" "$here" >"$here/$moment"
    chmod 755 "$here/$moment"
  done

  # Two nodes on one machine; a job goes to the second only where it asks for it.
  # Memory is counted and not enforced, so that what the rules ask for need not be there.
  cat >"$here/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=17817
SlurmUser=root
AuthInfo=socket=$here/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool/%n
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.%n.pid
SlurmctldLogFile=$here/log/slurmctld
SlurmdLogFile=$here/log/slurmd.%n
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
OverTimeLimit=0
KillWait=5
MinJobAge=7200
Prolog=$here/prolog
Epilog=$here/epilog
PrologFlags=Alloc
GresTypes=gpu
NodeName=one NodeHostname=localhost NodeAddr=127.0.0.1 Port=17821 CPUs=2 RealMemory=64000 Gres=gpu:2
NodeName=two NodeHostname=localhost NodeAddr=127.0.0.1 Port=17822 CPUs=1 RealMemory=64000
PartitionName=main Nodes=one Default=YES State=UP
PartitionName=other Nodes=two State=UP
CONF
  slurmctld -f "$here/slurm.conf"
  slurmd -N one -f "$here/slurm.conf"
  slurmd -N two -f "$here/slurm.conf"
  for _ in $(seq 100); do
    [ "$(sinfo -h -N -t idle 2>/dev/null | wc -l)" -ge 2 ] && return
    sleep 0.2
  done
  sinfo -N -l >&2 || true
  tail -n 5 "$here"/log/* >&2
  echo "slurm.sh: the nodes did not come up" >&2
  exit 1
}

stop() {
  [ -e "$link" ] || return 0
  local here pid
  here=$(readlink "$link")
  scancel --user="$(id -un)" 2>/dev/null || true
  for file in "$here"/slurmd.*.pid "$here/slurmctld.pid" "$here/munge/pid"; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
  rm -rf "$here" "$link" "$found"
}

case "${1:-}" in
  start | stop) "$1" ;;
  *) echo "slurm.sh start | stop" >&2; exit 2 ;;
esac
