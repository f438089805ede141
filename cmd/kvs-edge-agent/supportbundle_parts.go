package main

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// bundle is a tar file being written. Every byte goes through secret.Scrub.
type bundle struct {
	tar     *tar.Writer
	now     time.Time
	missing []string
	useful  bool  // something of an agent is in it
	err     error // of writing
}

// miss notes what is not in the bundle, unless err is nil.
func (b *bundle) miss(what string, err error) {
	if err != nil {
		line := fmt.Sprintf("%s: %s", what, strings.ReplaceAll(err.Error(), "\n", "; "))
		b.missing = append(b.missing, string(secret.Scrub([]byte(line))))
	}
}

func (b *bundle) addJSON(name string, value any) {
	data, err := json.MarshalIndent(value, "", "  ")
	b.miss(name, err)
	b.add(name, append(data, '\n'))
}

func (b *bundle) add(name string, data []byte) {
	if b.err != nil {
		return
	}
	data = secret.Scrub(data)
	header := &tar.Header{Name: "kvs-edge-agent-support/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: b.now}
	if b.err = b.tar.WriteHeader(header); b.err == nil {
		_, b.err = b.tar.Write(data)
	}
}

func versions(snapshot status.Snapshot) string {
	var text strings.Builder
	fmt.Fprintf(&text, "command  %s\nagent    %s\ngo       %s %s/%s, %d processors\n",
		version, cmp.Or(snapshot.Version, "does not run"), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, path := range []string{"/proc/version", "/etc/os-release", "/proc/meminfo", "/proc/uptime"} {
		if data, err := os.ReadFile(path); err == nil {
			fmt.Fprintf(&text, "\n%s\n%s", path, data)
		}
	}
	return text.String()
}

const (
	// bundleLogFiles and bundleLogBytes bound what is taken of the logs, the newest first.
	bundleLogFiles = 3
	bundleLogBytes = 5 << 20 // of each
	// bundleStoreLines bounds the list of recordings.
	bundleStoreLines = 20_000
)
