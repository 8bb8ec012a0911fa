# SPDX-License-Identifier: Apache-2.0
"""Hosts on one machine: each has a network, a host name and shared memory of its own, and a cable to one switch.

A host is a process that holds its namespaces; they go with it, and it goes with the test, so that nothing is left behind
however the test ends. Processes and file systems are those of the machine, so a run folder is shared as on a cluster.
Needs root, iproute2 and util-linux; `Unavailable` says what is missing.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time


class Unavailable(Exception):
    """Namespaces cannot be made here, and why."""


def _call(*words, inputs=None):
    done = subprocess.run(words, input=inputs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(words)}: {done.stdout.strip()}")
    return done.stdout


def end_on_sigterm():
    """So that whoever is told to end closes what he has opened: mpirun, for one, would stay."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def small_disk(folder, mebibytes):
    """A file system of so many MiB, which the caller unmounts."""
    if os.geteuid() != 0:
        raise Unavailable("only root can mount a small disk")
    folder.mkdir()
    _call("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))
    return folder


class Hosts:
    """`count` hosts named h1, h2, ... with the addresses 10.77.0.1, ...; files go to `folder`."""

    def __init__(self, count, folder):
        if os.geteuid() != 0:
            raise Unavailable("only root can make network namespaces")
        for program in ("ip", "tc", "unshare", "nsenter", "setpriv", "mpirun"):
            if not shutil.which(program):
                raise Unavailable(f"{program} is not installed (Debian packages iproute2, util-linux and openmpi-bin)")
        self.names = [f"h{i + 1}" for i in range(count)]
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = ["127.0.0.1 localhost"] + [f"10.77.0.{i + 1} {name}" for i, name in enumerate(self.names)]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        self._holders = {}
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _hold(self, name):
        ready = self.folder / f"ready-{name}"
        ready.unlink(missing_ok=True)
        script = (f"hostname {name}; mount --bind '{self.folder}/hosts' /etc/hosts; "
                  f"mount -t tmpfs -o size=2g,mode=1777 tmpfs /dev/shm; ip link set lo up; touch '{ready}'; exec sleep infinity")
        holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "-u", "-m", "-i", "sh", "-e", "-c", script],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._holders[name] = holder
        while not ready.exists():
            if holder.poll() is not None:
                raise Unavailable(f"no namespaces can be made: {holder.stderr.read().strip()}")
            time.sleep(0.01)

    def _ip(self, host, lines):
        _call("nsenter", "-t", str(self._holders[host].pid), "-n", "ip", "-batch", "-", inputs=lines + "\n")

    def _make(self):
        for name in ["switch", *self.names]:
            self._hold(name)
        self._ip("switch", "link add br0 type bridge\nlink set br0 up")
        switch = self._holders["switch"].pid
        for i, name in enumerate(self.names):
            self._ip(name, f"link add eth0 type veth peer name p{i + 1} netns {switch}\n"
                           f"addr add 10.77.0.{i + 1}/24 dev eth0\nlink set eth0 up")
            # As docs/cluster.md advises: a daemon whose message is on its way as the cable is pulled waits for this, not for
            # signs of life, a quarter of an hour by default.
            _call("nsenter", "-t", str(self._holders[name].pid), "-n", "sh", "-c",
                  "echo 5 >/proc/sys/net/ipv4/tcp_retries2")
            self._ip("switch", f"link set p{i + 1} master br0 up")
        self._write_shell()

    def _write_shell(self):
        """A stand-in for ssh: the words are joined, and a shell of the other host parses them without the caller's environment.
        It wants a network that reaches the host: a port where nobody listens answers at once, or not at all."""
        cases = "\n".join(f"  {name}) holder={self._holders[name].pid} address=10.77.0.{i + 1} ;;"
                          for i, name in enumerate(self.names))
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "ssh").write_text(f"""#!/bin/bash
while [[ $1 == -* ]]; do if [[ $1 == -o ]]; then shift; fi; shift; done
case $1 in
{cases}
  *) echo "ssh: $1: no such host" >&2; exit 255 ;;
esac
host=$1
shift
timeout 2 bash -c "exec 3<>/dev/tcp/$address/9" 2>/dev/null
if (($? == 124)); then echo "ssh: connect to host $host: timed out" >&2; exit 255; fi
exec nsenter -t $holder -n -u -m -i env -i PATH="$PATH" HOME="$HOME" /bin/sh -c "$*"
""")
        (folder / "ssh").chmod(0o755)

    def close(self):
        for name in self.names:
            for process in self.processes(name):
                _kill(process)
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
            holder.stderr.close()
        self._holders = {}

    def popen(self, host, command, **options):
        """Starts `command` on a host; itself, not its children, ends when this process is killed."""
        words = ["setpriv", "--pdeathsig", "KILL", "nsenter", "-t", str(self._holders[host].pid), "-n", "-u", "-m", "-i",
                 "sh", "-c", 'cd "$0" && exec "$@"', str(options.pop("cwd", os.getcwd())), *map(str, command)]
        return subprocess.Popen(words, **options)

    def environment(self):
        """For what is started on these hosts, which share their cores: `ssh` reaches the others."""
        return {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "OMPI_MCA_orte_tmpdir_base": str(self.folder),
                "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
                "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMP_NUM_THREADS": "1"}

    def processes(self, host):
        """Process ids of all that runs on a host, zombies and the one that holds it left out."""
        if host not in self._holders:
            return []
        holder = self._holders[host].pid
        try:
            network = os.readlink(f"/proc/{holder}/ns/net")
        except OSError:
            return []
        found = []
        for path in pathlib.Path("/proc").iterdir():
            if not path.name.isdigit() or int(path.name) == holder:
                continue
            try:
                if os.readlink(path / "ns/net") == network and (path / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(path.name))
            except OSError:
                continue  # it has ended
        return found

    def kill_all(self, host):
        """All processes of a host die at once; the host stays."""
        for process in self.processes(host):
            _kill(process)

    def cut(self, host):
        """Pulls the cable of a host."""
        self._ip("switch", f"link set p{self.names.index(host) + 1} down")

    def mend(self, host):
        self._ip("switch", f"link set p{self.names.index(host) + 1} up")

    def throttle(self, rate):
        """What each host sends is held to `rate`, such as 1gbit."""
        for name in self.names:
            _call("nsenter", "-t", str(self._holders[name].pid), "-n", "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate",
                  rate, "burst", "128kb", "latency", "20ms")


def _kill(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
