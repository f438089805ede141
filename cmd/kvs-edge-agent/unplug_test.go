package main

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// unplug unplugs cameras of which nothing may be lost: when all that they sent has been read. What lies in a socket, as an agent
// on a busy machine is behind, may be gone with its other end.
func unplug(t *testing.T, cameras ...*fakecam.Camera) {
	t.Helper()
	for _, camera := range cameras {
		camera.Stall()
	}
	for _, camera := range cameras {
		u, err := url.Parse(camera.URL())
		if err != nil {
			t.Fatal(err)
		}
		testtools.Eventually(t, patience, func() error {
			if slices.ContainsFunc(camera.Sessions(), func(s fakecam.Session) bool { return s.Queued > 0 }) {
				return fmt.Errorf("the camera at %s has frames queued", u.Host)
			}
			return emptySockets(u.Port())
		})
	}
	for _, camera := range cameras {
		camera.Unplug()
	}
}

// plug plugs a camera in that was unplugged by unplug: it sends again.
func plug(camera *fakecam.Camera) error {
	camera.Resume()
	return camera.Plug()
}

// emptySockets reports whether bytes lie in the sockets of connections to a port of this machine.
// Source: Linux, Documentation/networking/proc_net_tcp.rst.
func emptySockets(port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	suffix := fmt.Sprintf(":%04X", number)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if os.IsNotExist(err) { // a machine without IPv6
			continue
		} else if err != nil {
			return err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl local_address rem_address st tx_queue:rx_queue …
			fields := strings.Fields(lines.Text())
			const established = "01"
			if len(fields) < 5 || fields[3] != established || !strings.HasSuffix(fields[1], suffix) && !strings.HasSuffix(fields[2], suffix) {
				continue
			}
			if fields[4] != "00000000:00000000" {
				_ = f.Close()
				return fmt.Errorf("the sockets of port %s hold %s bytes", port, fields[4])
			}
		}
		_ = f.Close()
	}
	return nil
}
