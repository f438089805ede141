package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

var architectures = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "arm": unix.AUDIT_ARCH_ARM,
}

// install permits the calling thread, and what it executes, only the calls with these numbers. All
// others fail with EPERM, and those of another architecture end the process, as with
// SystemCallErrorNumber=EPERM and SystemCallArchitectures=native. The thread must be locked.
// Source: Linux, Documentation/userspace-api/seccomp_filter.rst.
func install(calls []uint32) error {
	const callOffset, architectureOffset = 0, 4 // in struct seccomp_data
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("the architecture %s is not known", runtime.GOARCH)
	}
	program := []unix.SockFilter{
		statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, architectureOffset),
		skipUnlessEqual(arch, 1), {Code: unix.BPF_JMP | unix.BPF_JA, K: 1},
		statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS),
		statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, callOffset),
	}
	for _, call := range calls {
		program = append(program, skipUnlessEqual(call, 1), statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW))
	}
	program = append(program, statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot give up new privileges: %w", err)
	}
	loaded := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&loaded)), 0, 0); err != nil {
		return fmt.Errorf("cannot install the filter: %w", err)
	}
	return nil
}

func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

// skipUnlessEqual skips n instructions unless the loaded word is k.
func skipUnlessEqual(k uint32, n uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: n, K: k}
}
