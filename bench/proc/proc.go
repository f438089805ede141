// Package proc owns what measuring programs read of processes from proc(5). It must not know what
// the processes do.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTicks is what /proc counts CPU time in; 100 on every Linux that Go runs on (proc(5), USER_HZ).
const clockTicks = 100

// Figures are what some processes took, all together. All but the memory counts from their starts.
type Figures struct {
	User         float64 `json:"cpu_user_s"`
	System       float64 `json:"cpu_system_s"`
	RSS          int64   `json:"rss_bytes"`
	PeakRSS      int64   `json:"peak_rss_bytes"`
	Switches     int64   `json:"context_switches"`
	Writes       int64   `json:"write_calls"`
	WrittenBytes int64   `json:"written_bytes"` // handed to write calls
}

// CPU is the processor time, in seconds.
func (f Figures) CPU() float64 { return f.User + f.System }

// Since is what was taken since before; the memory is that of now.
func (f Figures) Since(before Figures) Figures {
	f.User -= before.User
	f.System -= before.System
	f.Switches -= before.Switches
	f.Writes -= before.Writes
	f.WrittenBytes -= before.WrittenBytes
	return f
}

// And is what was taken at two times together; the memory is the most of them.
func (f Figures) And(other Figures) Figures {
	f.User += other.User
	f.System += other.System
	f.RSS, f.PeakRSS = max(f.RSS, other.RSS), max(f.PeakRSS, other.PeakRSS)
	f.Switches += other.Switches
	f.Writes += other.Writes
	f.WrittenBytes += other.WrittenBytes
	return f
}

// ReadAll sums up the figures of running commands. One that has ended is an error.
func ReadAll(commands []*exec.Cmd) (sum Figures, err error) {
	for _, c := range commands {
		f, err := Read(c.Process.Pid)
		if err != nil {
			return sum, fmt.Errorf("%s ended early: %w", c.Path, err)
		}
		sum.User += f.User
		sum.System += f.System
		sum.RSS += f.RSS
		sum.PeakRSS += f.PeakRSS
		sum.Switches += f.Switches
		sum.Writes += f.Writes
		sum.WrittenBytes += f.WrittenBytes
	}
	return sum, nil
}

// Read takes the figures of one process.
func Read(pid int) (f Figures, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return f, err
	}
	_, rest, ok := strings.Cut(string(stat), ") ") // the name before it may hold anything
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return f, errors.New("cannot read " + dir + "stat")
	}
	if fields[0] == "Z" {
		return f, errors.New("it is a zombie")
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	f.User, f.System = user/clockTicks, system/clockTicks
	status, err := keyed(dir + "status")
	if err != nil {
		return f, err
	}
	f.RSS, f.PeakRSS = status["VmRSS"]*1024, status["VmHWM"]*1024
	tasks, err := os.ReadDir(dir + "task")
	if err != nil {
		return f, err
	}
	for _, task := range tasks {
		if t, err := keyed(dir + "task/" + task.Name() + "/status"); err == nil {
			f.Switches += t["voluntary_ctxt_switches"] + t["nonvoluntary_ctxt_switches"]
		}
	}
	io, err := keyed(dir + "io")
	if err != nil {
		return f, err
	}
	f.Writes, f.WrittenBytes = io["syscw"], io["wchar"]
	return f, nil
}

// PeakRSS is the most memory in bytes that a process has had so far; 0 when it is gone. It takes less
// than Read, for who looks often.
func PeakRSS(pid int) int64 {
	status, _ := keyed(fmt.Sprintf("/proc/%d/status", pid)) // nil when it cannot be read
	return status["VmHWM"] * 1024
}

// Keyed is the number that a file of a process has behind a name, status or io for example; 0 when there is none.
func Keyed(pid int, file, name string) int64 {
	values, _ := keyed(fmt.Sprintf("/proc/%d/%s", pid, file)) // nil when it cannot be read
	return values[name]
}

// keyed reads lines of the form "name: number unit".
func keyed(path string) (map[string]int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make(map[string]int64)
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); len(fields) > 0 {
			if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				values[name] = n
			}
		}
	}
	return values, nil
}

// End stops commands as Ctrl-C would, and kills those that do not stop within 10 s.
func End(commands []*exec.Cmd) {
	for _, c := range commands {
		if c.Process != nil {
			_ = c.Process.Signal(syscall.SIGINT)
		}
	}
	for _, c := range commands {
		if c.Process == nil {
			continue
		}
		kill := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		kill.Stop()
	}
}
