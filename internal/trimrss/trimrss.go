// Package trimrss keeps the memory of a program small: it bounds garbage, and returns to the system what only the start needed. It must
// not know what the program does.
package trimrss

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// trimDelay is how long after its start the agent has reached its steady state.
const trimDelay = 30 * time.Second

// How much garbage there may be, in percent of the memory in use: some processor time for memory, of which hubs have less. A start makes
// much garbage, and recording so little that 64 cameras have it collected once in 50 s with 25, and with 50 once in 75 s, but then take
// 8 MB more.
const (
	whileStarting = 50
	whenSteady    = 25
)

// Start bounds the garbage of the start, unless GOGC does.
func Start() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(whileStarting)
	}
}

// settle bounds the garbage of the steady state, where Start has bounded it: GOGC, and a program that an agent is a part of, keep theirs.
func settle() {
	if before := debug.SetGCPercent(whenSteady); before != whileStarting || os.Getenv("GOGC") != "" {
		debug.SetGCPercent(before)
	}
}

// Task returns a task that releases, once the agent is in its steady state, what only the start needed: the garbage
// that it left, and the pages of the program that it ran.
//
// Recording allocates nothing for a packet, so that the next collection would come late, and the collector returns
// memory slowly: with 16 cameras 7 MB of the heap are in use, and 24 were taken. Starting also touches most of the program's
// file here and there, and the kernel maps 64 kB around each touch: 17 MB of which 6 are needed again. Those come back by
// themselves, mostly from the page cache.
func Task(log *zap.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(trimDelay):
		}
		settle()
		if err := giveBack(); err != nil {
			log.Debug("pages of the program not released", zap.Error(err))
		}
		return nil
	}
}

func giveBack() error {
	debug.FreeOSMemory()
	return unmapProgram()
}

// unmapProgram drops this process's mappings of the pages of its own program file.
// Source: madvise(2), MADV_DONTNEED.
func unmapProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	list, err := cleanMappings(string(smaps), program)
	if err != nil {
		return fmt.Errorf("cannot read /proc/self/smaps: %w", err)
	}
	for _, m := range list {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// mapping is a range of addresses that show a file.
type mapping struct{ from, to uintptr }

// cleanMappings lists the mappings of a file that the process may not write to, and in which it has
// nothing but what is in the file. Of a position-independent program there are others: its loader
// writes addresses into pages before it protects them. A debugger's breakpoints are the same.
// Source: proc_pid_smaps(5).
func cleanMappings(smaps, file string) (list []mapping, err error) {
	last := false // the lines are about the last mapping of list
	for line := range strings.Lines(smaps) {
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(name, "-"): // addresses begin a mapping
			var m mapping
			var access string
			if _, err := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &access); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			if last = !strings.Contains(access, "w") && strings.HasSuffix(line, " "+file); last {
				list = append(list, m)
			}
		case last && (name == "Anonymous" || name == "Swap") && strings.TrimSpace(value) != "0 kB":
			list, last = list[:len(list)-1], false
		}
	}
	return list, nil
}
