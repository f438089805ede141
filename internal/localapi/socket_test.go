package localapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// Whatever somebody does to the socket's file, it is made again, and connected clients stay connected.
func TestTheSocketComesBackByItself(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(path string) error{
		"removed":               os.Remove,
		"its directory removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"its directory moved":   func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
		"by a dead socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "x"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return errors.Join(l.Close(), os.Rename(path+"x", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "api")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			path := filepath.Join(dir, "state", "agent.sock")
			component := health.NewRegistry(time.Now).Component("", health.JobAPI)
			o := options(path, func() status.Snapshot { return status.Snapshot{Version: "x"} })
			o.Component = component
			server, err := NewServer(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() {
				if err := server.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			testtools.Eventually(t, time.Minute, func() error {
				got, err := NewClient(path).Status(t.Context())
				if err == nil && got.Version != "x" {
					err = fmt.Errorf("another version answers: %q", got.Version)
				}
				return err
			})
			stop()
			running.Wait()
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the socket is left: %v", err)
			}
			if worst, ok := component.Snapshot().Worst(); ok {
				t.Errorf("%+v", worst)
			}
		})
	}
}
