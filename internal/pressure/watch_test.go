package pressure

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// machine is a hub whose kernel and agent say what the test sets.
type machine struct {
	mu     sync.Mutex
	now    time.Time
	health *health.Registry
	watch  *Watch
	seen   seen // of each 15 s
	wear   []Storage
	total  [3]time.Duration
}

func newMachine() *machine {
	m := &machine{now: time.Unix(1_700_000_000, 0)}
	m.health = health.NewRegistry(m.clock)
	component := m.health.Component("", health.JobAPI)
	m.watch = New(Options{Read: m.read, Lag: func() Lag { return m.seen.Lag }, Component: component, Log: zap.NewNop()})
	m.watch.probe(m.now)
	return m
}

func (m *machine) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) read() Reading {
	stalls := func(i int, share float64) *Stalls {
		m.total[i] += time.Duration(share * float64(probeEvery))
		return &Stalls{Some: Stall{Total: m.total[i]}}
	}
	return Reading{Processor: stalls(0, m.seen.processor), Disk: stalls(1, m.seen.disk), Memory: stalls(2, m.seen.memory),
		Throttled: m.seen.hot, Storage: m.wear}
}

// pass lets 15 s pass, and probes.
func (m *machine) pass() {
	m.mu.Lock()
	m.now = m.now.Add(probeEvery)
	m.mu.Unlock()
	m.watch.probe(m.now)
}

func (m *machine) texts() (texts []string) {
	for _, c := range m.health.Component("", health.JobAPI).Snapshot().Conditions {
		texts = append(texts, c.Severity.String()+": "+c.Text)
	}
	return texts
}

var late = Lag{Moments: 30, Late: 10}

func TestTheBottleneckIsNamed(t *testing.T) {
	t.Parallel()
	slow := Lag{Moments: 30, Sync: 5 * time.Second, Beat: 2 * time.Second}
	for name, c := range map[string]struct {
		seen seen
		want Bottleneck
		text string
	}{
		"on time on a busy hub": {
			seen{Lag: Lag{Moments: 30, Late: 1, Sync: time.Second, Beat: 2 * time.Second}, processor: 0.9, disk: 0.9, memory: 0.5},
			None, "",
		},
		"late, with a busy processor": {
			seen{Lag: late, processor: 0.6},
			OfProcessor, "its processor is too busy (the agent was late 10 of 30 times; it waited for the processor 60 % of the time)",
		},
		"late, and the kernel is silent": {
			seen{Lag: late, processor: unknownShare, disk: unknownShare, memory: unknownShare, load: 4},
			OfProcessor, "its processor is too busy (the agent was late 10 of 30 times).",
		},
		"late on an idle hub":   {seen{Lag: late}, None, ""},
		"late, silent and idle": {seen{Lag: late, processor: unknownShare, load: 0.2}, None, ""},
		"late, in the sun":      {seen{Lag: late, processor: 0.6, hot: true}, OfHeat, "it is too hot"},
		"hot, and on time":      {seen{Lag: Lag{Moments: 30}, processor: 0.6, hot: true}, None, ""},
		"slow syncs": {
			seen{Lag: slow, disk: 0.9, processor: 0.1},
			OfDisk, "its disk is too slow (written data was durable after 5.0 s, and is to be every 2.0 s; " +
				"it waited for the disk 90 % of the time)",
		},
		"slow syncs, the kernel is silent":  {seen{Lag: slow, disk: unknownShare, processor: unknownShare}, OfDisk, "its disk is too slow"},
		"slow syncs without processor time": {seen{Lag: slow, disk: 0.05, processor: 0.8}, OfProcessor, "its processor is too busy"},
		"slow syncs without memory":         {seen{Lag: slow, disk: 0.9, memory: 0.3}, OfMemory, "it has too little memory"},
		"packets dropped": {
			seen{Lag: Lag{Moments: 30}, dropped: 17, processor: 0.5},
			OfProcessor, "17 packets of cameras over UDP came before the agent could read them",
		},
		"packets dropped on an idle hub": {seen{Lag: Lag{Moments: 30}, dropped: 17}, None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.seen.bottleneck()
			if got != c.want {
				t.Fatalf("it is %q, want %q", got, c.want)
			}
			if got == None {
				return
			}
			if text := got.fault(c.seen).Text; !strings.Contains(text, c.text) {
				t.Errorf("it says %q, want %q", text, c.text)
			}
		})
	}
}

// TestAMomentIsNoCondition has one bad probe, or a good one between, change nothing.
func TestAMomentIsNoCondition(t *testing.T) {
	t.Parallel()
	m := newMachine()
	bad, good := seen{Lag: late, processor: 0.5}, seen{}
	for i, step := range []struct {
		seen  seen
		shown bool
	}{
		{bad, false}, {bad, false}, {good, false}, {bad, false}, {bad, false}, {bad, true},
		{good, true}, {good, true}, {bad, true}, {good, true}, {good, true}, {good, false}, {bad, false},
	} {
		m.seen = step.seen
		m.pass()
		if got := len(m.texts()) > 0; got != step.shown {
			t.Errorf("after probe %d it is shown: %v, want %v", i, got, step.shown)
		}
	}
}

func TestWear(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wear []Storage
		want string
	}{
		"new":                     {[]Storage{{"mmcblk0", 10, "normal"}}, ""},
		"90 % is not yet":         {[]Storage{{"mmcblk0", 90, "normal"}}, ""},
		"nearly used":             {[]Storage{{"mmcblk0", 100, "normal"}}, "info: The eMMC mmcblk0 has used 90 to 100 % of its life time"},
		"exceeded":                {[]Storage{{"mmcblk0", 110, ""}}, "degraded: The eMMC mmcblk0 has exceeded its life time"},
		"few spare blocks":        {[]Storage{{"mmcblk0", 40, "warning"}}, "info: The eMMC mmcblk0 has used 80 % of its spare blocks"},
		"hardly any spare blocks": {[]Storage{{"mmcblk0", 40, "urgent"}}, "degraded: The eMMC mmcblk0 has used 90 % of its spare blocks"},
		"the worst of two":        {[]Storage{{"mmcblk0", 100, ""}, {"mmcblk1", 110, ""}}, "degraded: The eMMC mmcblk1 has exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine()
			m.wear = c.wear
			m.pass()
			if got := strings.Join(m.texts(), "|"); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}
