package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alone prepares a network of its own that has ::1 and nothing else, and runs a program in it.
const alone = `ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec "$@"`

// TestTheDemoRunsOverIPv6Alone where not even 127.0.0.1 exists; where no such network is available, the demo's own
// words show that nothing is at an address of IPv4.
func TestTheDemoRunsOverIPv6Alone(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--stream-file"}} {
		t.Run(strings.Join(more, ""), func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			command := slices.Concat(separate(t), []string{path, "demo", "--listen", "[::1]", "--duration", "4s", "--dir", dir}, more)
			output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
			if err != nil || !strings.Contains(string(output), "is in the cloud once") {
				t.Fatalf("the demo ended with %v:\n%s\nthe agent:\n%s", err, output, tail(filepath.Join(dir, "agent.out"), 30))
			}
			if text := string(output); !strings.Contains(text, "local cloud at https://[::1]:") || strings.Contains(text, "127.0.0.1") {
				t.Errorf("it says:\n%s", text)
			}
		})
	}
}

// separate is what runs a program in a network of its own; nil where this machine does not allow that.
func separate(t *testing.T) []string {
	t.Helper()
	for _, flags := range [][]string{{"--net"}, {"--user", "--map-root-user", "--net"}} {
		command := slices.Concat([]string{"unshare"}, flags, []string{"sh", "-c", alone, "sh"})
		if exec.CommandContext(t.Context(), command[0], append(command[1:], "true")...).Run() == nil {
			return command
		}
	}
	t.Log("no network without IPv4 is available here")
	return nil
}

func TestStandInsListenOnThisMachineAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[::1]": "::1", "::1": "::1", "127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.2", "[::ffff:127.0.0.1]": "127.0.0.1",
		"0.0.0.0": "", "[::]": "", "192.168.1.2": "", "localhost": "", "[::1]:443": "", "127.0.0.1:80": "", "": "", "[::1": "", "::1%lo": "",
	} {
		var l loopback
		err := l.Set(text)
		if got := l.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", text, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "give 127.0.0.1 or [::1], without a port") {
			t.Errorf("%q: it says %v", text, err)
		}
	}
}

// TestCamerasAreRecordedOverIPv6Alone over each transport that needs sockets of its own on the hub.
func TestCamerasAreRecordedOverIPv6Alone(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const recorded = `"$1" fakecam --listen "[::1]:0" >cam & cam=$!; until grep -q rtsp: cam; do sleep 0.1; done
"$1" record --rtsp-transport "$2" --duration 3s "$(grep -o "rtsp://.*" cam | head -1)"; code=$?; kill $cam; exit $code`
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			command := append(separate(t), "sh", "-c", recorded, "sh", path, transport)
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Dir = t.TempDir()
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, output)
			}
		})
	}
}
