#!/bin/bash
# A private Slurm of three nodes and ten fake GPUs on one host, without systemd. For root on Debian.
#   slurmlab.sh install [nodb]     install the packages
#   slurmlab.sh start DIR [nodb]   write the configuration into DIR, start, and wait until it is up;
#                                  DIR/slurm.conf is what SLURM_CONF must name
#   slurmlab.sh wipe DIR           end what was started and delete DIR
# nodb leaves accounting out: sacct then answers nothing.
# SLURMLAB_PORT: first of 25 ports to use.  SLURMLAB_MAX_ARRAY: MaxArraySize.
set -euo pipefail
command=${1:?install|start|wipe}; shift
mode=db; root=
for word in "$@"; do case $word in nodb) mode=nodb;; *) root=$word;; esac; done
port=${SLURMLAB_PORT:-16800}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
[ -z "$root" ] || export SLURM_CONF=$root/slurm.conf

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  local packages="munge slurmctld slurmd slurm-client"
  [ $mode = db ] && packages="$packages slurmdbd mariadb-server"
  apt-get update -qq
  # shellcheck disable=SC2086  # a list of words
  apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

until_true() { for _ in $(seq 400); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done; return 1; }

# slurmd only looks whether the devices exist; nothing opens them
write_devices() {
  for i in 0 1 2 3; do mknod -m 666 "$root/dev/nvidia$i" c 195 "$i"; done
  cat > "$root/gres.conf" <<EOC
NodeName=n[1-2] Name=gpu Type=a100 File=$root/dev/nvidia[0-3]
NodeName=n3     Name=gpu Type=h100 File=$root/dev/nvidia[0-1]
EOC
}

write_slurm_conf() {
  local host; host=$(hostname -s)
  # cred_expire: a requeued job would else wait for two minutes; less than 5 is not taken
  cat > "$root/slurm.conf" <<EOC
ClusterName=lab
SlurmctldHost=localhost
SlurmctldPort=$((port + 17))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$root/munge.sock,cred_expire=5
MailProg=/bin/true
MpiDefault=none
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool.%n
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd.%n.pid
SlurmctldLogFile=$root/slurmctld.log
SlurmdLogFile=$root/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=10000
ReturnToService=2
MinJobAge=300
KillWait=3
DefMemPerCPU=500
MaxArraySize=${SLURMLAB_MAX_ARRAY:-1001}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 21)) CPUs=16 RealMemory=64000 Gres=gpu:a100:4
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 22)) CPUs=16 RealMemory=64000 Gres=gpu:a100:4
NodeName=n3 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 23)) CPUs=8 RealMemory=32000 Gres=gpu:h100:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low  Nodes=ALL MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=ALL MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=100 PreemptMode=OFF
EOC
}

write_accounting() {
  cat >> "$root/slurm.conf" <<EOC
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((port + 19))
AccountingStoragePass=$root/munge.sock
AccountingStorageTRES=gres/gpu
EOC
  cat > "$root/slurmdbd.conf" <<EOC
AuthType=auth/munge
AuthInfo=socket=$root/munge.sock
DbdHost=localhost
DbdPort=$((port + 19))
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 6))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$root/slurmdbd.log
PidFile=$root/slurmdbd.pid
EOC
  chmod 600 "$root/slurmdbd.conf"
  cat > "$root/my.cnf" <<EOC
[mariadbd]
user=mysql
datadir=$root/db
socket=$root/db/my.sock
pid-file=$root/db/my.pid
log-error=$root/db/my.err
bind-address=127.0.0.1
port=$((port + 6))
skip-name-resolve
skip-log-bin
performance_schema=OFF
innodb_buffer_pool_size=128M
innodb_flush_log_at_trx_commit=0
innodb_flush_method=nosync
innodb_doublewrite=0
innodb_lock_wait_timeout=900
EOC
}

start_munge() {
  (umask 077; head -c 128 /dev/urandom > "$root/munge.key")
  munged --key-file="$root/munge.key" --socket="$root/munge.sock" --pid-file="$root/munged.pid" \
    --log-file="$root/munged.log" --seed-file="$root/munge.seed"
}

start_accounting() {
  # the package left a pristine data folder: copying it takes a tenth of a second, making one five
  if [ -d /var/lib/mysql/mysql ] && ! pgrep -x mariadbd >/dev/null; then cp -a /var/lib/mysql "$root/db"
  else
    install -d -o mysql -g mysql "$root/db"
    mariadb-install-db --no-defaults --user=mysql --datadir="$root/db" --skip-test-db >/dev/null
  fi
  setsid mariadbd --defaults-file="$root/my.cnf" >"$root/mariadbd.out" 2>&1 </dev/null &
  until_true mariadb-admin --socket="$root/db/my.sock" -uroot ping
  mariadb --socket="$root/db/my.sock" -uroot -e "create database slurm_acct_db;
    create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'127.0.0.1'"
  slurmdbd
  until_true sacctmgr -n list cluster
  sacctmgr -n -P list cluster format=cluster | grep -qx lab || sacctmgr -i -Q add cluster lab >/dev/null
}

all_nodes_up() { [ "$(sinfo -h -N -p main -t idle,mixed,allocated -o %N | wc -l)" = 3 ]; }

start() {
  mkdir -p "$root"/{state,dev,spool.n1,spool.n2,spool.n3}
  chmod 755 "$root"
  write_devices; write_slurm_conf; start_munge
  if [ $mode = db ]; then write_accounting; start_accounting; fi
  slurmctld
  for node in n1 n2 n3; do slurmd -N $node; done
  until_true all_nodes_up || { echo "Slurm did not come up" >&2; tail -n 5 "$root"/*.log >&2; return 1; }
}

no_jobs() { [ -z "$(squeue -h)" ]; }

gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

end() {  # end FILE...: end the processes that these pid files name, and wait
  for file in "$@"; do [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null || true; done
  for file in "$@"; do
    local pid; pid=$(cat "$file" 2>/dev/null || true)
    [ -z "$pid" ] || until_true gone "$pid" || true
  done
}

wipe() {
  [ -d "$root" ] || return 0
  scancel --quiet --user=root 2>/dev/null && until_true no_jobs || true
  end "$root"/slurmd.n?.pid "$root/slurmctld.pid"
  end "$root/slurmdbd.pid"
  end "$root/db/my.pid"
  end "$root/munged.pid"
  rm -rf "$root"
}

case $command in
  install) install_packages;; start) start;; wipe) wipe;;
  *) echo "unknown: $command" >&2; exit 2;;
esac
