package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Syncs counts the calls by which running commands wait for the disk, for that long, with strace:
// proc(5) does not know them. It slows the commands down, so nothing else is to be measured meanwhile.
func Syncs(commands []*exec.Cmd, d time.Duration) (calls int64, err error) {
	summary, err := os.CreateTemp("", "syncs")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(summary.Name()) }()
	_ = summary.Close()
	arguments := []string{"-f", "-c", "-qq", "-o", summary.Name(), "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync,msync"}
	for _, c := range commands {
		arguments = append(arguments, "-p", strconv.Itoa(c.Process.Pid))
	}
	tracer := exec.Command("strace", arguments...)
	var problems bytes.Buffer
	tracer.Stderr = &problems
	if err := tracer.Start(); err != nil {
		return 0, err
	}
	<-time.After(d)
	_ = tracer.Process.Signal(os.Interrupt)
	_ = tracer.Wait() // it ends as it was asked to, with an exit code of the signal
	data, err := os.ReadFile(summary.Name())
	if err != nil {
		return 0, err
	}
	if problems.Len() > 0 {
		return 0, fmt.Errorf("strace: %s", strings.TrimSpace(problems.String()))
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line) // % time, seconds, usecs/call, calls, [errors,] syscall
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseInt(fields[3], 10, 64); err == nil {
			calls += n
		}
	}
	return calls, nil
}
