package agent

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// settled is how long after its start the agent does what it does from then on.
const settled = 30 * time.Second

// giveBackProgram unmaps, once the agent has settled, what only its start needed of the program.
// Starting touches most of the file here and there, and the kernel maps 64 kB around each touch: 17
// MB of which 6 are needed again. Those come back by themselves, mostly from the page cache.
func (a *Agent) giveBackProgram(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(settled):
	}
	if err := unmapProgram(); err != nil {
		a.log.Debug("the program's pages stay mapped", zap.Error(err))
	}
	return nil
}

// unmapProgram drops this process's mappings of the pages of its own program file that it cannot
// have changed. Source: madvise(2), MADV_DONTNEED; proc_pid_maps(5).
func unmapProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		line = strings.TrimSuffix(line, "\n")
		var from, to uintptr
		var access string
		if n, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access); n != 3 || err != nil {
			return fmt.Errorf("cannot read /proc/self/maps: %q: %w", line, err)
		}
		if strings.Contains(access, "w") || !strings.HasSuffix(line, " "+program) {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}
