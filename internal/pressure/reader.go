package pressure

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Reading is what the kernel says of the hub at a time. What it does not say, or the agent may not read, is nil or empty.
type Reading struct {
	// Processor, Disk and Memory are those of the agent's own control group.
	Processor *Stalls `json:"cpu,omitempty"`
	Disk      *Stalls `json:"io,omitempty"`
	Memory    *Stalls `json:"memory,omitempty"`
	Zones     []Zone  `json:"zones,omitempty"`
	// Throttled says that the kernel slows the processor down because of heat.
	Throttled bool      `json:"throttled,omitempty"`
	Storage   []Storage `json:"storage,omitempty"`

	dropped int64   // datagrams, since the hub started
	load    float64 // tasks that run or want to, for each processor
}

// Empty says whether the kernel says nothing that is shown.
func (r Reading) Empty() bool {
	return r.Processor == nil && r.Disk == nil && r.Memory == nil && len(r.Zones) == 0 && !r.Throttled && len(r.Storage) == 0
}

// Reader reads from the kernel.
type Reader struct {
	root       fs.FS
	process    string // directory of the process whose control group is read
	load       func() float64
	processors int
	kept       *bytes.Buffer // gets what is read; nil = nothing does
}

// NewReader returns a Reader of this machine for a process; "self" is the present one.
func NewReader(process string, processors int) *Reader {
	return &Reader{root: os.DirFS("/"), process: "proc/" + process, load: loadOne, processors: processors}
}

// loadOne is the load of the last minute. The file that has it is hidden from the service, the system call is not.
func loadOne() float64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	const one = 1 << 16 // SI_LOAD_SHIFT
	return float64(info.Loads[0]) / one
}

// Read reads everything once: some 20 small files.
func (r *Reader) Read() (now Reading) {
	group := r.group()
	stalls := func(name string) *Stalls {
		s, err := ParseStalls(r.read(path.Join(group, name)))
		if group == "" || err != nil {
			return nil
		}
		return &s
	}
	now.Processor, now.Disk, now.Memory = stalls("cpu.pressure"), stalls("io.pressure"), stalls("memory.pressure")
	now.Zones, now.Throttled = r.zones()
	now.Storage = r.storage()
	now.dropped, _ = ParseDropped(r.read(r.process + "/net/snmp"))
	now.load = r.load() / float64(max(r.processors, 1))
	return now
}

// group is the directory of the process's control group of version 2, below the root; "" = there is none.
func (r *Reader) group() string {
	own, ok := ParseGroup(r.read(r.process + "/cgroup"))
	if !ok {
		return ""
	}
	for _, mount := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} { // the second where version 1 is in use beside it
		dir := path.Join(mount, own)
		if _, err := fs.Stat(r.root, path.Join(dir, "cpu.pressure")); err == nil {
			return dir
		}
	}
	return ""
}

// ParseGroup finds the control group of version 2 in /proc/PID/cgroup, as a path below where they are mounted.
func ParseGroup(text []byte) (group string, ok bool) {
	for line := range strings.Lines(string(text)) {
		if group, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/"); ok {
			clean := path.Clean("/" + group)[1:]
			return clean, fs.ValidPath(path.Join("sys", clean))
		}
	}
	return "", false
}

// mostBytes is more than any of the files has.
const mostBytes = 16 << 10

// read returns the beginning of a file; nil when it cannot be read.
func (r *Reader) read(name string) []byte {
	f, err := r.root.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return nil // pressure that is switched off, a sensor without power
	}
	if r.kept != nil && len(data) > 0 {
		fmt.Fprintf(r.kept, "/%s\n%s\n\n", name, bytes.TrimRight(data, "\n"))
	}
	return data
}

// Text returns what the kernel says as it says it, file by file, also of the whole hub; for people who look for a fault.
func (r *Reader) Text() []byte {
	keeping := *r
	keeping.kept = new(bytes.Buffer)
	for _, name := range []string{"cpu", "io", "memory"} {
		keeping.read("proc/pressure/" + name)
	}
	keeping.Read()
	return keeping.kept.Bytes()
}
