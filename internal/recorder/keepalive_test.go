package recorder

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// TestKeepalivesAreLearnt has cameras that accept only one kind of keepalive, and different reactions to the first.
func TestKeepalivesAreLearnt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer   string // to GET_PARAMETER
		sessions int
		want     string // the keepalive that is used in the end
	}{
		"refused":      {"501 Not Implemented", 1, "OPTIONS"},
		"unanswered":   {gateSilence, 1, "OPTIONS"},
		"closing":      {gateHangUp, 2, "OPTIONS"},
		"a stale each": {"401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", stale=true, nonce=\"n%d\"", 1, "GET_PARAMETER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var heard bytes.Buffer
			camera := startCamera(t, fakecam.Options{NoUDP: true, FPS: 100, Oddities: fakecam.Oddities{
				Conn: func(c net.Conn) net.Conn { return eavesdropper{c, &mu, &heard} }, // a time-out of 2 s
			}})
			var came []string // keepalives while it played
			playing, nonce, fresh := false, 0, false
			g := newGate(t, camera, func(_ int, method, uri, authorization string) string {
				mu.Lock()
				defer mu.Unlock()
				playing = playing && method != "DESCRIBE" || method == "PLAY"
				if !playing || method == "PLAY" || method == "PAUSE" || method == "TEARDOWN" {
					return ""
				}
				came = append(came, method)
				if name != "a stale each" {
					if method == "GET_PARAMETER" {
						playing = row.answer != gateHangUp
						return row.answer
					}
					return ""
				}
				if fresh && right(authorization, method, uri, "cam", gatePassword, md5Sum, false) {
					fresh = false
					return ""
				}
				nonce, fresh = nonce+1, true
				return fmt.Sprintf(row.answer, nonce)
			})
			r := record(t, camera, g.url(gatePassword))
			r.await("keepalives", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(came) >= 8 && !slices.ContainsFunc(came[len(came)-4:], func(m string) bool { return m != row.want })
			})
			// What ends on a machine that is late by seconds is not blamed on the keepalive: then it takes longer to learn.
			if n := len(camera.Sessions()); n < row.sessions || n > row.sessions && r.late() < 200*time.Millisecond {
				t.Errorf("there were %d sessions, want %d", n, row.sessions)
			}
		})
	}
}
