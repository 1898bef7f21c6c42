"""Every field that an engine takes when something is made, and what becomes of it here.

For who wants to know what a caller of ours can bring about on a host: what is no `Spec` no caller can say.
Nothing is sent that is not in this table, and tests hold the table against what `serialise` sends and against the
engine's own description of its API, so that a field which is new there has to be classified here.

A field is written as a path: what stands in a list as if it stood alone, the keys of a map as ``*``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtime.drivers.docker.serialise import DETACH_KEYS


@dataclass(frozen=True, slots=True)
class Spec:
    """Sent as these fields of the body's spec say; ``ports.host_ip`` is that of each of its ports."""

    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Sent as one of these values, whatever anybody says."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Never:
    """Not sent, because of what it would bring about."""

    why: str


Treatment = Spec | Fixed | Never


def _below(parent: str, fields: Mapping[str, Treatment]) -> dict[str, Treatment]:
    return {f"{parent}.{path}": treatment for path, treatment in fields.items()}


def _alike(treatment: Treatment, paths: Iterable[str]) -> dict[str, Treatment]:
    return dict.fromkeys(paths, treatment)


_RESTART_POLICY: Final[Mapping[str, Treatment]] = {
    "Name": Spec(("restart_policy",)),
    "MaximumRetryCount": Spec(("restart_max_retries",)),
}

_DEVICE: Final = "names a device of the host"

_RESOURCES: Final[Mapping[str, Treatment]] = {
    "Memory": Spec(("memory_bytes",)),
    "MemorySwap": Spec(("memory_bytes",)),
    "NanoCpus": Spec(("nano_cpus",)),
    "PidsLimit": Spec(("pids_limit",)),
    "Init": Spec(("init",)),
    # The host's own devices and places
    "Devices.PathOnHost": Never("hands a device of the host to the container: a disk is the whole host"),
    "Devices.PathInContainer": Never(_DEVICE),
    "Devices.CgroupPermissions": Never(_DEVICE),
    "DeviceCgroupRules": Never("lets the container make and use devices of the host"),
    **_alike(
        Never("hands over devices by a driver of the host, with options that the driver alone understands"),
        [f"DeviceRequests.{name}" for name in ("Capabilities", "Count", "DeviceIDs", "Driver", "Options")],
    ),
    "CgroupParent": Never("leaves the limits of its own part of the host for those of another"),
    # A larger share of the host than others have
    "CpuShares": Never("weighs more than the containers of others"),
    "CpuPeriod": Never("says the limit of processors a second time, past the first"),
    "CpuQuota": Never("says the limit of processors a second time, past the first"),
    "CpuRealtimePeriod": Never("runs before everything else on the host"),
    "CpuRealtimeRuntime": Never("runs before everything else on the host"),
    "CpusetCpus": Never("chooses processors, which a host may keep for something else"),
    "CpusetMems": Never("chooses memory nodes, which a host may keep for something else"),
    "MemoryReservation": Never("keeps memory from others when there is little"),
    "MemorySwappiness": Never("decides what the host swaps"),
    "KernelMemory": Never("limits the kernel's share alone; engines dropped it"),
    "KernelMemoryTCP": Never("limits the kernel's share alone; engines dropped it"),
    "OomKillDisable": Never("hangs the host when its memory is full"),
    "Ulimits.Name": Never("raises a limit above what the host gives to everybody"),
    "Ulimits.Soft": Never("raises a limit above what the host gives to everybody"),
    "Ulimits.Hard": Never("raises a limit above what the host gives to everybody"),
    "BlkioWeight": Never("weighs more than the containers of others"),
    **_alike(
        Never(_DEVICE),
        [
            *("BlkioWeightDevice.Path", "BlkioWeightDevice.Weight"),
            *("BlkioDeviceReadBps.Path", "BlkioDeviceReadBps.Rate"),
            *("BlkioDeviceReadIOps.Path", "BlkioDeviceReadIOps.Rate"),
            *("BlkioDeviceWriteBps.Path", "BlkioDeviceWriteBps.Rate"),
            *("BlkioDeviceWriteIOps.Path", "BlkioDeviceWriteIOps.Rate"),
        ],
    ),
    **_alike(Never("for Windows alone"), ("CpuCount", "CpuPercent", "IOMaximumBandwidth", "IOMaximumIOps")),
}

_MOUNT: Final[Mapping[str, Treatment]] = {
    "Type": Fixed(("volume", "tmpfs")),
    "Source": Spec(("volumes.volume",)),
    "Target": Spec(("volumes.target", "tmpfs.target")),
    "ReadOnly": Spec(("volumes.read_only",)),
    "TmpfsOptions.SizeBytes": Spec(("tmpfs.size_bytes",)),
    "TmpfsOptions.Mode": Never("nobody needs it; a program can change it"),
    "TmpfsOptions.Options": Never("passes words to the host's mount as they are"),
    "Consistency": Never("for Mac OS alone"),
    **_alike(
        Never("goes with a path of the host, which is never mounted"),
        [
            "BindOptions.CreateMountpoint",
            "BindOptions.NonRecursive",
            "BindOptions.Propagation",
            "BindOptions.ReadOnlyForceRecursive",
            "BindOptions.ReadOnlyNonRecursive",
        ],
    ),
    "VolumeOptions.DriverConfig.Name": Never("makes a volume by any driver of the host"),
    "VolumeOptions.DriverConfig.Options": Never('makes a "volume" that is a path of the host'),
    "VolumeOptions.Labels": Never("labels a volume as if we had made it"),
    "VolumeOptions.NoCopy": Never("nobody needs it"),
    "VolumeOptions.Subpath": Never("a part of a volume may be a link to elsewhere"),
    "ImageOptions.Subpath": Never("goes with another image's files, which are never mounted"),
    "ClusterOptions": Never("goes with a volume of the cluster, which is never mounted"),
}

_HOST_CONFIG: Final[Mapping[str, Treatment]] = {
    **_RESOURCES,
    **_below("Mounts", _MOUNT),
    **_below("RestartPolicy", _RESTART_POLICY),
    "NetworkMode": Spec(("network",)),
    "PortBindings.*.HostIp": Spec(("ports.host_ip",)),
    "PortBindings.*.HostPort": Spec(("ports.host_port",)),
    "ReadonlyRootfs": Spec(("read_only_root",)),
    "CapAdd": Spec(("cap_add",)),
    "CapDrop": Spec(("cap_drop",)),
    "SecurityOpt": Spec(("no_new_privileges",)),
    # Its size, and no other word to the host's storage driver.
    "StorageOpt": Spec(("disk_bytes",)),
    "LogConfig.Type": Fixed(("json-file",)),
    "LogConfig.Config": Spec(("log_bytes", "log_files")),
    # Out of the container
    "Privileged": Never("every right over the host"),
    "Binds": Never("mounts any path of the host, the engine's socket too"),
    "VolumesFrom": Never("mounts what another container has, whoever owns it"),
    "VolumeDriver": Never("makes volumes by any driver of the host"),
    "PidMode": Never("sees and ends the processes of the host or of another container"),
    "IpcMode": Never("shares memory with the host or with another container"),
    "UTSMode": Never("changes the name of the host"),
    "UsernsMode": Never("makes root in the container root of the host"),
    "CgroupnsMode": Never("sees the control groups of the host"),
    "Cgroup": Never("joins the control group of another container"),
    "Runtime": Never("runs under any runtime of the host, one without walls too"),
    "Annotations": Never("passes orders to the runtime"),
    "Sysctls": Never("changes settings of the kernel"),
    "MaskedPaths": Never("uncovers what the engine hides of the kernel"),
    "ReadonlyPaths": Never("makes writable what the engine protects of the kernel"),
    "GroupAdd": Never("joins groups that may own files of a volume or of the host"),
    "OomScoreAdj": Never("lets the host end others first when its memory is full"),
    "ContainerIDFile": Never("writes a file on the host"),
    # What others and the engine see
    "Links": Never("reads the variables of another container"),
    "ExtraHosts": Never("gives a name another address, the host's own too"),
    "Dns": Never("sends the container's questions to a server of somebody's choice"),
    "DnsOptions": Never("goes with another name server, which is never asked"),
    "DnsSearch": Never("goes with another name server, which is never asked"),
    "PublishAllPorts": Never("publishes ports that no policy has seen"),
    # What nobody needs
    "AutoRemove": Never("removes the container behind our back, with its log"),
    "Tmpfs": Never("says mounts a second time, as words; those of Mounts are checked"),
    "ShmSize": Never("takes memory beside the limit on mounts in memory"),
    "ConsoleSize": Never("says nothing that the browser's first resize does not say"),
    "Umask": Never("nobody needs it; a program can change it"),
    "Isolation": Never("for Windows alone"),
}

_ADDRESS: Final = "takes an address that may be another's"
_ANSWER: Final = "is the engine's own answer, never asked for"

_ENDPOINT: Final[Mapping[str, Treatment]] = {
    "Aliases": Never("takes a name that may be another's"),
    "Links": Never("reads the variables of another container"),
    "DriverOpts": Never("passes words to the network driver as they are"),
    "GwPriority": Never("goes with several networks; a container is made with one"),
    "IPAMConfig.IPv4Address": Never(_ADDRESS),
    "IPAMConfig.IPv6Address": Never(_ADDRESS),
    "IPAMConfig.LinkLocalIPs": Never(_ADDRESS),
    "MacAddress": Never(_ADDRESS),
    "IPAddress": Never(_ADDRESS),
    "GlobalIPv6Address": Never(_ADDRESS),
    **_alike(
        Never(_ANSWER),
        [
            "DNSNames",
            "EndpointID",
            "Gateway",
            "GlobalIPv6PrefixLen",
            "IPPrefixLen",
            "IPv6Gateway",
            "NetworkID",
        ],
    ),
}

_CONTAINER_CREATE: Final[Mapping[str, Treatment]] = {
    "Image": Spec(("image",)),
    "Cmd": Spec(("command",)),
    "Entrypoint": Spec(("entrypoint",)),
    "Env": Spec(("environment",)),
    "Labels": Spec(("labels",)),
    "Hostname": Spec(("hostname",)),
    "User": Spec(("user",)),
    "WorkingDir": Spec(("working_directory",)),
    "Tty": Spec(("tty",)),
    "OpenStdin": Spec(("open_stdin",)),
    # So that input stays open when somebody who watched leaves.
    "StdinOnce": Fixed((False,)),
    "ExposedPorts": Spec(("ports.container_port", "ports.protocol")),
    "StopTimeout": Spec(("stop_timeout",)),
    "Healthcheck.Test": Spec(("healthcheck.test",)),
    "Healthcheck.Interval": Spec(("healthcheck.interval",)),
    "Healthcheck.Timeout": Spec(("healthcheck.timeout",)),
    "Healthcheck.Retries": Spec(("healthcheck.retries",)),
    "Healthcheck.StartPeriod": Spec(("healthcheck.start_period",)),
    "Healthcheck.StartInterval": Never("checks more often than the interval that a policy has seen"),
    "Volumes": Never("makes volumes without a name, which no policy has seen and nobody owns"),
    "Domainname": Never("nobody needs it beside the host name"),
    "MacAddress": Never(_ADDRESS),
    "NetworkDisabled": Never("says a second time what the network says"),
    "StopSignal": Never("nobody needs it; the image says it"),
    "AttachStdin": Never("goes with a client that stays; we attach when somebody looks"),
    "AttachStdout": Never("goes with a client that stays; we attach when somebody looks"),
    "AttachStderr": Never("goes with a client that stays; we attach when somebody looks"),
    "OnBuild": Never("goes with images"),
    "Shell": Never("goes with images"),
    "ArgsEscaped": Never("for Windows alone"),
    **_below("HostConfig", _HOST_CONFIG),
    **_below("NetworkingConfig.EndpointsConfig.*", _ENDPOINT),
}

#: Nothing is changed in place: what runs is what somebody asked for and a policy allowed.
_CONTAINER_UPDATE: Final[Mapping[str, Treatment]] = _alike(
    Never("changes what a policy has allowed while it runs"),
    [*_RESOURCES, *_below("RestartPolicy", _RESTART_POLICY)],
)

_EXEC_CREATE: Final[Mapping[str, Treatment]] = {
    "Cmd": Spec(("command",)),
    "Env": Spec(("environment",)),
    "Tty": Spec(("tty",)),
    "User": Spec(("user",)),
    "WorkingDir": Spec(("working_directory",)),
    "AttachStdin": Spec(("attach_stdin",)),
    "AttachStdout": Fixed((True,)),
    "AttachStderr": Fixed((True,)),
    "ConsoleSize": Spec(("rows", "columns")),
    "DetachKeys": Fixed((DETACH_KEYS,)),
    "Detach": Never("leaves a process behind that nobody watches"),
    "Privileged": Never("every right over the host, in a container that has none"),
}

_EXEC_START: Final[Mapping[str, Treatment]] = {
    "Tty": Spec(("tty",)),
    "ConsoleSize": Spec(("rows", "columns")),
    "Detach": Fixed((False,)),
}

_CLUSTER: Final = "makes a volume of a cluster, by a driver of the host and with secrets of the cluster"

_VOLUME_CREATE: Final[Mapping[str, Treatment]] = {
    "Name": Spec(("name",)),
    "Labels": Spec(("labels",)),
    "Driver": Fixed(("local",)),
    "DriverOpts": Never('makes a "volume" that is a path of the host'),
    **_alike(
        Never(_CLUSTER),
        [
            "ClusterVolumeSpec.AccessMode.AccessibilityRequirements.Preferred.Segments",
            "ClusterVolumeSpec.AccessMode.AccessibilityRequirements.Requisite.Segments",
            "ClusterVolumeSpec.AccessMode.Availability",
            "ClusterVolumeSpec.AccessMode.CapacityRange.LimitBytes",
            "ClusterVolumeSpec.AccessMode.CapacityRange.RequiredBytes",
            "ClusterVolumeSpec.AccessMode.MountVolume",
            "ClusterVolumeSpec.AccessMode.Scope",
            "ClusterVolumeSpec.AccessMode.Secrets.Key",
            "ClusterVolumeSpec.AccessMode.Secrets.Secret",
            "ClusterVolumeSpec.AccessMode.Sharing",
            "ClusterVolumeSpec.Group",
        ],
    ),
}

_SUBNET: Final = "takes addresses that may be those of the host's own networks"

_NETWORK_CREATE: Final[Mapping[str, Treatment]] = {
    "Name": Spec(("name",)),
    "Labels": Spec(("labels",)),
    "Internal": Spec(("internal",)),
    "Driver": Fixed(("bridge",)),
    "CheckDuplicate": Fixed((True,)),
    "Options": Never("passes words to the network driver as they are: a bridge of the host, where ports are bound"),
    "IPAM.Driver": Never("gives out addresses by any driver of the host"),
    "IPAM.Options": Never("passes words to that driver as they are"),
    "IPAM.Config": Never(_SUBNET),
    "IPAM.Config.Subnet": Never(_SUBNET),
    "IPAM.Config.IPRange": Never(_SUBNET),
    "IPAM.Config.Gateway": Never(_SUBNET),
    "IPAM.Config.AuxiliaryAddresses": Never(_SUBNET),
    "EnableIPv4": Never("goes with addresses, which the engine chooses"),
    "EnableIPv6": Never("goes with addresses, which the engine chooses"),
    "ConfigFrom.Network": Never("takes over what another network has"),
    "ConfigOnly": Never("makes what is no network"),
    "Scope": Never("makes a network of the cluster"),
    "Attachable": Never("goes with a network of the cluster"),
    "Ingress": Never("goes with a network of the cluster"),
}

#: By the body that they are a field of.
FIELDS: Final[Mapping[str, Mapping[str, Treatment]]] = {
    "container create": _CONTAINER_CREATE,
    "container update": _CONTAINER_UPDATE,
    "exec create": _EXEC_CREATE,
    "exec start": _EXEC_START,
    "network create": _NETWORK_CREATE,
    "volume create": _VOLUME_CREATE,
}
