package health

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"syscall"
)

// The limits of the hub that any operation may meet. Source: errno(3).
var exhaustions = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// exhaustion finds in a failure that the hub has no more to give, whatever was tried; 0 means that it is something else.
func exhaustion(err error, args []any) syscall.Errno {
	if e := exhaustionOf(err); e != 0 {
		return e
	}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			if e := exhaustionOf(cause); e != 0 {
				return e
			}
		}
	}
	return 0
}

func exhaustionOf(err error) syscall.Errno {
	var (
		fault *Fault
		dns   *net.DNSError
	)
	if err == nil || errors.As(err, &fault) { // it says so itself
		return 0
	}
	unresolved := errors.As(err, &dns)
	for _, e := range exhaustions {
		// A resolver keeps the text of what failed only.
		if errors.Is(err, e) || unresolved && strings.Contains(dns.Err, e.Error()) {
			return e
		}
	}
	return 0
}

// exhausted replaces the advice of a sentence by the hub's limits that caused the failure: neither the disk nor the
// network nor the camera needs a repair. The part of a sentence before its first colon says what failed.
func exhausted(sentence string, e syscall.Errno) string {
	failed, _, _ := strings.Cut(strings.TrimSuffix(sentence, "."), ": ")
	return failed + ": " + ExhaustedAdvice(e)
}

// ExhaustedAdvice says of a limit of the hub which it is and what to do; it ends with a full stop.
func ExhaustedAdvice(e syscall.Errno) string {
	switch e {
	case syscall.EMFILE:
		return fmt.Sprintf("too many open files: the agent may have %s open. Set LimitNOFILE in the service's unit to more "+
			"(systemctl edit kvs-edge-agent) and restart it.", openFilesText())
	case syscall.ENFILE:
		return "too many open files on this hub, of all programs: raise the kernel's limit (sysctl fs.file-max), " +
			"or find the program that has them open."
	case syscall.ENOBUFS:
		return "the hub has no buffers left for its network: end other programs, or give the hub more memory."
	default:
		return "the hub has no memory left: end other programs, or raise MemoryMax of the service's unit, if it has one."
	}
}

// MaxOpenFiles is how many files and connections this process may have open; 0 means that there is no limit.
func MaxOpenFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return 0
	}
	return limit.Cur
}

func openFilesText() string {
	if n := MaxOpenFiles(); n > 0 {
		return fmt.Sprintf("%d files and connections", n)
	}
	return "any number of files and connections"
}
