// Command flushes counts how often the disk empties its cache while many cameras are recorded, how often the agent asks for that, and
// how many bytes the disk writes for each byte of the files: on a disk of its own, a file with ext4 behind a loop device. It needs root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
)

// figures are what was counted of one agent.
type figures struct {
	Agent            string  `json:"agent"`
	Disk             string  `json:"disk"` // own, or shared with the data of others
	Cameras          int     `json:"cameras"`
	Bitrate          int     `json:"bitrate"`
	Seconds          float64 `json:"seconds"`
	FlushesPerMinute float64 `json:"flushes_per_minute"`
	SyncsPerMinute   float64 `json:"syncs_per_minute"`
	DeviceBytes      int64   `json:"device_bytes"`
	FileBytes        int64   `json:"file_bytes"`
}

type options struct {
	agents  string
	serve   string
	cameras int
	bitrate int
	size    int64
	warmUp  time.Duration
	measure time.Duration
	trace   time.Duration
	disks   string
	out     string
}

func main() {
	var o options
	flag.StringVar(&o.agents, "agents", "now=bin/kvs-edge-agent", "names and binaries of the agents, with commas between them")
	flag.StringVar(&o.serve, "serve", "bin/bench-recording", "the program that plays the cameras")
	flag.IntVar(&o.cameras, "cameras", 64, "number of cameras")
	flag.IntVar(&o.bitrate, "bitrate", 1_000_000, "bits per second of each camera")
	flag.Int64Var(&o.size, "size", 8<<30, "bytes of the disk")
	flag.DurationVar(&o.warmUp, "warm-up", 15*time.Second, "how long each agent runs before")
	flag.DurationVar(&o.measure, "measure", time.Minute, "how long is measured")
	flag.DurationVar(&o.trace, "trace", 15*time.Second, "how long calls of sync are counted afterwards; 0 leaves it out")
	flag.StringVar(&o.disks, "disks", "own,shared", "whether the disk has nothing but the recordings")
	flag.StringVar(&o.out, "out", "", "append the figures as JSON lines to this file")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "flushes:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	urls, stop, err := serve(o)
	if err != nil {
		return err
	}
	defer stop()
	var list []figures
	for _, agent := range strings.Split(o.agents, ",") {
		name, binary, ok := strings.Cut(agent, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=BINARY", agent)
		}
		for _, disk := range strings.Split(o.disks, ",") {
			f, err := measure(o, binary, disk, urls)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			f.Agent = name
			list = append(list, f)
			fmt.Fprintf(os.Stderr, "%s on a disk of %s is measured\n", name, disk)
		}
	}
	if err := keep.Append(o.out, list); err != nil {
		return err
	}
	return print(list)
}

func print(list []figures) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "agent\tdisk\tcameras\tflushes/min\tsync calls/min\tdevice bytes/file bytes\tMB of files\t")
	for _, f := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%.0f\t%.3f\t%.1f\t\n", f.Agent, f.Disk, f.Cameras, f.FlushesPerMinute, f.SyncsPerMinute,
			float64(f.DeviceBytes)/float64(max(f.FileBytes, 1)), float64(f.FileBytes)/1e6)
	}
	return t.Flush()
}

// serve plays the cameras in a process of their own.
func serve(o options) (urls []string, stop func(), err error) {
	cmd := exec.Command(o.serve, "serve", strconv.Itoa(o.cameras), strconv.Itoa(o.bitrate))
	return proc.Cameras(cmd, o.cameras)
}

// measure records all cameras on a new disk.
func measure(o options, binary, disk string, urls []string) (f figures, err error) {
	root, device, unmount, err := newDisk(o.size)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	if disk == "shared" {
		if err := os.WriteFile(filepath.Join(root, "of-somebody-else"), nil, 0o600); err != nil {
			return f, err
		}
	}
	dir := filepath.Join(root, "recordings")
	agent := exec.Command(binary, append([]string{"record", "--dir", dir}, urls...)...)
	if err := proc.StartAsService(agent); err != nil {
		return f, err
	}
	defer proc.End([]*exec.Cmd{agent})
	<-time.After(o.warmUp)
	before, began := read(device), time.Now()
	filesBefore := bytesUnder(dir)
	<-time.After(o.measure)
	after, files := read(device), bytesUnder(dir)
	f = figures{Disk: disk, Cameras: o.cameras, Bitrate: o.bitrate, Seconds: time.Since(began).Seconds()}
	f.FlushesPerMinute = float64(after.flushes-before.flushes) * 60 / f.Seconds
	f.DeviceBytes, f.FileBytes = (after.sectors-before.sectors)*512, files-filesBefore
	if f.FileBytes == 0 {
		return f, errors.New("nothing was recorded")
	}
	if o.trace > 0 {
		calls, err := proc.Syncs([]*exec.Cmd{agent}, o.trace)
		if err != nil {
			return f, err
		}
		f.SyncsPerMinute = float64(calls) / o.trace.Minutes()
	}
	return f, nil
}

// counts are from the stat of a block device. Source: Documentation/block/stat.rst.
type counts struct{ sectors, flushes int64 }

func read(device string) (c counts) {
	data, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "stat"))
	if fields := strings.Fields(string(data)); err == nil && len(fields) > 15 {
		c.sectors, _ = strconv.ParseInt(fields[6], 10, 64)
		c.flushes, _ = strconv.ParseInt(fields[15], 10, 64)
	}
	return c
}

// newDisk mounts a new file system on a loop device.
func newDisk(size int64) (root, device string, unmount func() error, err error) {
	dir, err := os.MkdirTemp("", "flushes")
	if err != nil {
		return "", "", nil, err
	}
	image, root := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	err = errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size), os.Mkdir(root, 0o755))
	if err == nil {
		device, err = tool("losetup", "--find", "--show", image)
	}
	if err != nil {
		return "", "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	unmount = func() error {
		_, err := tool("umount", root)
		_, detached := tool("losetup", "--detach", device)
		return errors.Join(err, detached, os.RemoveAll(dir))
	}
	// Without the tables that ext4 otherwise writes in the first minutes, while files are measured.
	_, err = tool("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
	if err == nil {
		_, err = tool("mount", device, root)
	}
	if err != nil {
		return "", "", nil, errors.Join(err, unmount())
	}
	return root, device, unmount, nil
}

func tool(name string, arguments ...string) (string, error) {
	out, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}

func bytesUnder(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
