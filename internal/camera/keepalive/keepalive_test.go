package keepalive

import (
	"strings"
	"testing"
	"time"
)

// camera is a camera that handles keepalives in its own way.
type camera struct {
	announces time.Duration
	preferred Method        // according to its Public header
	takes     string        // methods that it answers with 200
	refuses   string        // methods that it answers with an error
	hangsUp   string        // methods on which it hangs up at once, or after the answer if in takes
	keeps     string        // methods that keep its session
	ends      time.Duration // its time-out; 0: never
}

// session plays one session for at most a life, and returns how long it lasted and the methods received.
func (c camera) session(m *Memory, start time.Time, life time.Duration) (lasted time.Duration, methods []string) {
	m.Announced(c.announces)
	m.Begin(start)
	kept := start
	for now := start; ; {
		next := now.Add(m.Period())
		if end := kept.Add(c.ends); c.ends > 0 && !end.After(next) && end.Sub(start) < life {
			m.End(true, end, end)
			return end.Sub(start), methods
		}
		if next.Sub(start) > life {
			m.End(false, start.Add(life), start.Add(life))
			return life, methods
		}
		now = next
		method := m.Next(c.preferred, now)
		methods = append(methods, string(method))
		has := func(list string) bool { return strings.Contains(list, string(method)) }
		if has(c.keeps) {
			kept = now
		}
		if has(c.takes) || has(c.refuses) {
			m.Answered(has(c.takes))
		}
		if has(c.hangsUp) {
			m.End(true, now, now.Add(100*time.Millisecond))
			return now.Sub(start), methods
		}
	}
}

// cameras have one oddity each. deaths is how many sessions may end before one lasts for an hour.
var cameras = map[string]struct {
	camera
	deaths int
	want   Method // the final method; None: not checked
}{
	"all is well":      {camera{60e9, GetParameter, "GET_PARAMETER", "", "", "GET_PARAMETER", 60e9}, 0, GetParameter},
	"says no time-out": {camera{0, GetParameter, "GET_PARAMETER", "", "", "GET_PARAMETER", 60e9}, 0, GetParameter},
	"refuses":          {camera{60e9, GetParameter, "OPTIONS", "GET_PARAMETER", "", "OPTIONS", 60e9}, 0, Options},
	"refuses two": {
		camera{9e9, GetParameter, "SET_PARAMETER", "GET_PARAMETER OPTIONS", "", "SET_PARAMETER", 9e9}, 0, SetParameter,
	},
	"does not answer":      {camera{8e9, GetParameter, "OPTIONS", "", "", "OPTIONS", 8e9}, 0, Options},
	"does not answer two":  {camera{8e9, GetParameter, "SET_PARAMETER", "", "", "SET_PARAMETER", 8e9}, 0, SetParameter},
	"answers none, counts": {camera{8e9, GetParameter, "", "", "", "SET_PARAMETER GET_PARAMETER OPTIONS", 8e9}, 0, None},
	"refuses all, counts":  {camera{8e9, Options, "", "GET_PARAMETER OPTIONS SET_PARAMETER", "", "GET_PARAMETER", 8e9}, 0, None},
	"hangs up":             {camera{6e9, GetParameter, "OPTIONS", "", "GET_PARAMETER", "OPTIONS", 6e9}, 1, Options},
	"answers and hangs up": {camera{6e9, GetParameter, "OPTIONS GET_PARAMETER", "", "GET_PARAMETER", "OPTIONS", 6e9}, 1, Options},
	"refuses and hangs up": {camera{6e9, GetParameter, "OPTIONS", "GET_PARAMETER", "GET_PARAMETER", "OPTIONS", 6e9}, 1, Options},
	"hangs up on OPTIONS":  {camera{6e9, Options, "GET_PARAMETER", "", "OPTIONS", "GET_PARAMETER", 6e9}, 1, GetParameter},
	"hangs up on two": {
		camera{6e9, GetParameter, "SET_PARAMETER", "", "GET_PARAMETER OPTIONS", "SET_PARAMETER", 6e9}, 2, SetParameter,
	},
	"hangs up on all":         {camera{60e9, GetParameter, "", "", "GET_PARAMETER OPTIONS SET_PARAMETER", "", 0}, 3, None},
	"another counts":          {camera{60e9, GetParameter, "GET_PARAMETER OPTIONS", "", "", "OPTIONS", 60e9}, 1, Options},
	"OPTIONS does not count":  {camera{60e9, Options, "GET_PARAMETER OPTIONS", "", "", "GET_PARAMETER", 60e9}, 1, GetParameter},
	"ends before it says":     {camera{60e9, GetParameter, "GET_PARAMETER", "", "", "GET_PARAMETER", 10e9}, 1, GetParameter},
	"ends long before":        {camera{600e9, GetParameter, "GET_PARAMETER", "", "", "GET_PARAMETER", 5e9}, 1, GetParameter},
	"says a day, ends sooner": {camera{86400e9, GetParameter, "GET_PARAMETER", "", "", "GET_PARAMETER", 40e9}, 0, GetParameter},
}

func TestSessionsAreKeptAlive(t *testing.T) {
	t.Parallel()
	for name, row := range cameras {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := new(Memory)
			now := time.Unix(1_000_000, 0)
			for deaths := 0; ; deaths++ {
				lasted, methods := row.session(m, now, time.Hour)
				now = now.Add(lasted + time.Second)
				if lasted == time.Hour {
					if n := len(methods); row.want != None && methods[n-1] != string(row.want) {
						t.Errorf("it chose %s, want %s", methods[n-1], row.want)
					}
					break
				}
				if deaths == row.deaths {
					t.Fatalf("the session %d ended after %v, with %q", deaths+1, lasted, methods)
				}
			}
			for range 5 { // the choice is remembered
				if lasted, methods := row.session(m, now, time.Hour); lasted != time.Hour {
					t.Fatalf("a later session ended after %v, with %.200q", lasted, methods)
				}
				now = now.Add(time.Hour + time.Second)
			}
		})
	}
}

// TestAnEndByChanceIsNotBlamed has a camera that ends its sessions now and then, also just after an accepted keepalive.
func TestAnEndByChanceIsNotBlamed(t *testing.T) {
	t.Parallel()
	m := new(Memory)
	now := time.Unix(1_000_000, 0)
	for range 20 {
		m.Announced(60 * time.Second)
		m.Begin(now)
		for range 100 {
			now = now.Add(m.Period())
			if method := m.Next(GetParameter, now); method != GetParameter {
				t.Fatalf("it chose %s", method)
			}
			m.Answered(true)
		}
		now = now.Add(100 * time.Millisecond)
		m.End(true, now, now)
	}
	if m.Period() != 15*time.Second {
		t.Errorf("keepalives come every %v", m.Period())
	}
}

// TestASilentCameraIsNotBlamedOnTheKeepalive has a camera that stops sending after 6 s, and hangs up at the next request.
func TestASilentCameraIsNotBlamedOnTheKeepalive(t *testing.T) {
	t.Parallel()
	m := new(Memory)
	start := time.Unix(1_000_000, 0)
	m.Announced(60 * time.Second)
	m.Begin(start)
	sent := start.Add(m.Period())
	m.Next(GetParameter, sent)
	m.End(true, start.Add(6*time.Second), sent.Add(100*time.Millisecond))
	m.Announced(60 * time.Second)
	m.Begin(sent)
	if method := m.Next(GetParameter, sent); method != GetParameter || m.Period() > 2*time.Second {
		t.Errorf("%s comes every %v", method, m.Period())
	}
}

func TestSessionHeaders(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		values string // separated by |
		id     string
		want   time.Duration
	}{
		{"", "", 0},
		{"1234", "1234", 0},
		{"1234;timeout=60", "1234", time.Minute},
		{"1234;timeout=60s", "1234", time.Minute},
		{"1234 ; Timeout = \"60\" ;x", "1234", time.Minute},
		{"1234;timeout=-1", "1234", 0},
		{"1234;timeout=0", "1234", 0},
		{"1234;timeout=", "1234", 0},
		{"1234;timeout", "1234", 0},
		{"1234;a=b;timeout=90.5", "1234", 90 * time.Second},
		{"1234|5678;timeout=10", "1234", 10 * time.Second},
		{"|1234;timeout=10", "1234", 10 * time.Second},
		{"1234;timeout=x;timeout=7", "1234", 7 * time.Second},
		{"1234;timeout=99999999999999999999", "1234", 1_000_000 * time.Second},
	} {
		id, timeout := ParseSession(strings.Split(row.values, "|"))
		if id != row.id || timeout != row.want {
			t.Errorf("%q is %q with %v", row.values, id, timeout)
		}
	}
}
