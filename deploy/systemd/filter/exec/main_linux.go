// Command exec executes a program under a system call filter: exec NUMBER[,NUMBER…] PROGRAM [ARGUMENT…].
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "exec:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: exec NUMBER[,NUMBER…] PROGRAM [ARGUMENT…]")
	}
	var calls []uint32
	for text := range strings.SplitSeq(args[0], ",") {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return err
		}
		calls = append(calls, uint32(n))
	}
	runtime.LockOSThread() // the filter is this thread's, and so is the exec
	if err := install(calls); err != nil {
		return err
	}
	return syscall.Exec(args[1], args[1:], os.Environ())
}
