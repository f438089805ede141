package hubclock_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// hub is a hub's clock, whose wall part may be stepped.
type hub struct {
	start   time.Time
	elapsed time.Duration // true time since then
	step    time.Duration // of the wall clock from the true time
	kernel  bool
}

func (h *hub) now() time.Time { return testtools.Stepped(h.start.Add(h.elapsed), h.step) }

func (h *hub) sleep(d time.Duration) { h.elapsed += d }

func (h *hub) truth() time.Time { return h.start.Add(h.elapsed).Round(0) }

func (h *hub) clock() *hubclock.Clock {
	return hubclock.New(hubclock.Options{Now: h.now, Synchronised: func() bool { return h.kernel }})
}

// ask has a service, whose clock is off by so much, answer a request that takes so long.
func (h *hub) ask(c *hubclock.Clock, off, takes time.Duration) {
	sent := h.now()
	h.sleep(takes)
	c.Heard(h.truth().Add(off).Truncate(time.Second), sent, h.now())
}

func TestTrust(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		life func(*hub, *hubclock.Clock)
		want hubclock.Trust
	}{
		"nobody's word": {func(*hub, *hubclock.Clock) {}, hubclock.Untrusted},
		"the kernel's":  {func(h *hub, _ *hubclock.Clock) { h.kernel = true }, hubclock.ByKernel},
		"a service's":   {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 50*time.Millisecond) }, hubclock.ByService},
		"4 s off":       {func(h *hub, c *hubclock.Clock) { h.step = 4 * time.Second; h.ask(c, 0, 50*time.Millisecond) }, hubclock.ByService},
		"4 s off, the other way": {func(h *hub, c *hubclock.Clock) {
			h.step = -4 * time.Second
			h.ask(c, 0, 50*time.Millisecond)
		}, hubclock.ByService},
		"7 s off":           {func(h *hub, c *hubclock.Clock) { h.step = 7 * time.Second; h.ask(c, 0, 50*time.Millisecond) }, hubclock.Untrusted},
		"an hour ago":       {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 0); h.sleep(59 * time.Minute) }, hubclock.ByService},
		"more than an hour": {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 0); h.sleep(61 * time.Minute) }, hubclock.Untrusted},
		"then another disagrees": {func(h *hub, c *hubclock.Clock) {
			h.ask(c, 0, 0)
			h.ask(c, time.Hour, 0)
		}, hubclock.Untrusted},
		"a slow answer says nothing": {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 20*time.Second) }, hubclock.Untrusted},
		"and takes nothing away":     {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 0); h.ask(c, 0, 20*time.Second) }, hubclock.ByService},
		"a slow answer that disagrees": {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 0); h.ask(c, -time.Hour, 20*time.Second) },
			hubclock.Untrusted},
		"stepped since": {func(h *hub, c *hubclock.Clock) { h.ask(c, 0, 0); h.step = 2 * time.Hour }, hubclock.Untrusted},
		"stepped within a request": {func(h *hub, c *hubclock.Clock) {
			sent := h.now()
			h.step = time.Hour
			c.Heard(h.truth().Truncate(time.Second), sent, h.now())
		}, hubclock.Untrusted},
		"stepped right": {func(h *hub, c *hubclock.Clock) {
			h.step = 2 * time.Hour
			h.ask(c, 0, 0)
			h.step = 0
			h.ask(c, 0, 0)
		}, hubclock.ByService},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hub{start: time.Now()}
			c := h.clock()
			row.life(h, c)
			if got := c.Trust(); got != row.want || c.Trusted() != (row.want != hubclock.Untrusted) {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

// Clocks are asked and told from everywhere.
func TestAClockIsAskedWhileItHears(t *testing.T) {
	t.Parallel()
	var stop atomic.Bool
	c := hubclock.New(hubclock.Options{Synchronised: func() bool { return false }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; first || !stop.Load(); first = false {
			now := time.Now()
			c.Heard(now.Round(0), now, now)
		}
	}()
	for range 1000 {
		c.Trusted()
	}
	stop.Store(true)
	<-done
	if !c.Trusted() || c.Now().IsZero() {
		t.Error("a clock that agrees is not trusted")
	}
}

// How far a clock is off is known from the last answer, and from how it was set since.
func TestAhead(t *testing.T) {
	t.Parallel()
	clear := func(h *hub, c *hubclock.Clock, off time.Duration) {
		sent := h.now()
		c.HeardInTheClear(h.truth().Add(off).Truncate(time.Second), sent, h.now())
	}
	for name, row := range map[string]struct {
		life func(*hub, *hubclock.Clock)
		want time.Duration
	}{
		"nobody was asked":      {func(h *hub, _ *hubclock.Clock) { h.step = time.Hour }, 0},
		"it agrees":             {func(h *hub, c *hubclock.Clock) { h.step = 4 * time.Second; h.ask(c, 0, 0) }, 0},
		"7 s ahead":             {func(h *hub, c *hubclock.Clock) { h.step = 7 * time.Second; h.ask(c, 0, 0) }, 7 * time.Second},
		"10 min behind":         {func(h *hub, c *hubclock.Clock) { h.step = -10 * time.Minute; h.ask(c, 0, 0) }, -10 * time.Minute},
		"a day ahead":           {func(h *hub, c *hubclock.Clock) { h.step = 24 * time.Hour; h.ask(c, 0, 0) }, 24 * time.Hour},
		"the kernel thinks not": {func(h *hub, c *hubclock.Clock) { h.kernel = true; h.step = time.Hour; h.ask(c, 0, 0) }, time.Hour},
		"it is a day later":     {func(h *hub, c *hubclock.Clock) { h.step = time.Hour; h.ask(c, 0, 0); h.sleep(24 * time.Hour) }, time.Hour},
		"set right":             {func(h *hub, c *hubclock.Clock) { h.step = time.Hour; h.ask(c, 0, 0); h.step = 0 }, 0},
		"set wrong":             {func(h *hub, c *hubclock.Clock) { h.step = time.Hour; h.ask(c, 0, 0); h.step = 2 * time.Hour }, 2 * time.Hour},
		"another answer agrees": {func(h *hub, c *hubclock.Clock) { h.ask(c, time.Hour, 0); h.ask(c, 0, 0) }, 0},
		"a slow one says too little": {func(h *hub, c *hubclock.Clock) {
			h.ask(c, time.Hour, 0)
			h.ask(c, 0, 20*time.Second)
		}, -time.Hour},
		"in the clear":            {func(h *hub, c *hubclock.Clock) { clear(h, c, 10*time.Minute) }, -10 * time.Minute},
		"in the clear, it agrees": {func(h *hub, c *hubclock.Clock) { clear(h, c, time.Hour); clear(h, c, 0) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hub{start: time.Now()}
			c := h.clock()
			row.life(h, c)
			if got := c.Ahead(); (got - row.want).Abs() > time.Second {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

// The time is known by the hub's clock while that is trusted, and else by the services.
func TestTime(t *testing.T) {
	t.Parallel()
	const unknown = 99 * time.Hour
	for name, row := range map[string]struct {
		life func(*hub, *hubclock.Clock)
		off  time.Duration // from the true time; unknown
	}{
		"nobody's word":    {func(*hub, *hubclock.Clock) {}, unknown},
		"the kernel's":     {func(h *hub, _ *hubclock.Clock) { h.kernel = true }, 0},
		"a service's":      {func(h *hub, c *hubclock.Clock) { h.step = 4 * time.Second; h.ask(c, 0, 0) }, 4 * time.Second},
		"off, and said so": {func(h *hub, c *hubclock.Clock) { h.step = 30 * time.Hour; h.ask(c, 0, 0) }, 0},
		"the kernel is wrong": {func(h *hub, c *hubclock.Clock) {
			h.kernel, h.step = true, -30*time.Hour
			h.ask(c, 0, 0)
		}, 0},
		"stepped since": {func(h *hub, c *hubclock.Clock) { h.step = time.Hour; h.ask(c, 0, 0); h.step = -5 * time.Hour }, 0},
		"long ago":      {func(h *hub, c *hubclock.Clock) { h.step = time.Hour; h.ask(c, 0, 0); h.sleep(61 * time.Minute) }, unknown},
		"in the clear": {func(h *hub, c *hubclock.Clock) {
			h.step = time.Hour
			c.HeardInTheClear(h.truth(), h.now(), h.now())
		}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hub{start: time.Now()}
			c := h.clock()
			row.life(h, c)
			now, known := c.Time()
			if known != (row.off != unknown) {
				t.Fatalf("known: %v", known)
			}
			if off := now.Round(0).Sub(h.truth()); known && (off-row.off).Abs() > 2*time.Second {
				t.Errorf("it is %s off, want %s", off, row.off)
			}
		})
	}
}

// A Date that nothing confirms does not change the trust.
func TestADateInTheClearIsNotTrusted(t *testing.T) {
	t.Parallel()
	h := &hub{start: time.Now()}
	c := h.clock()
	if c.HeardInTheClear(h.truth().Truncate(time.Second), h.now(), h.now()); c.Trusted() {
		t.Error("it makes the clock trusted")
	}
	h.ask(c, 0, 0)
	if c.HeardInTheClear(h.truth().Add(time.Hour), h.now(), h.now()); !c.Trusted() {
		t.Error("it takes trust")
	}
}
