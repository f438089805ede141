package pressure

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// Bottleneck is what a hub that cannot keep up has too little of.
type Bottleneck string

// The bottlenecks.
const (
	None         Bottleneck = ""
	OfProcessor  Bottleneck = "processor"
	OfHeat       Bottleneck = "heat"
	OfDisk       Bottleneck = "disk"
	OfMemory     Bottleneck = "memory"
	unknownShare            = -1.0
)

// Lag is how late the agent was since it was asked last.
type Lag struct {
	// Of so many moments at which the agent was to run, so many came late.
	Moments, Late int
	// Sync is the longest time that making written data durable took, and Beat how often that is to be done; 0 = it was not done.
	Sync, Beat time.Duration
}

// What counts as a lag: one moment in ten, and a sync that takes longer than the time to the next one.
const lateShare = 0.1

// processorLate says whether the agent got to run too late.
func (l Lag) processorLate() bool {
	return l.Moments > 0 && float64(l.Late) >= lateShare*float64(l.Moments)
}

// diskLate says whether syncs take longer than the beat.
func (l Lag) diskLate() bool { return l.Beat > 0 && l.Sync > l.Beat }

// seen is what the agent and the kernel saw between two probes.
type seen struct {
	Lag
	dropped   int64 // datagrams that nobody read in time
	processor float64
	disk      float64 // shares of the time, from 0 to 1; unknownShare where the kernel does not say
	memory    float64
	load      float64 // tasks that run or want to, for each processor
	hot       bool
}

// between compares two readings.
func between(before, now Reading, elapsed time.Duration, lag Lag) seen {
	share := func(before, now *Stalls) float64 {
		if before == nil || now == nil || elapsed <= 0 {
			return unknownShare
		}
		return min(1, max(0, float64(now.Some.Total-before.Some.Total)/float64(elapsed)))
	}
	s := seen{Lag: lag, dropped: max(0, now.dropped-before.dropped), load: now.load, hot: now.Throttled,
		processor: share(before.Processor, now.Processor), disk: share(before.Disk, now.Disk), memory: share(before.Memory, now.Memory)}
	for _, zone := range now.Zones {
		s.hot = s.hot || zone.Hot()
	}
	return s
}

// From these shares of the time on, waiting explains a lag.
const (
	memoryShort    = 0.10 // pages are read repeatedly
	diskBusy       = 0.30
	processorShort = 0.25
	// loadShort takes the place of the share of the processor where the kernel does not say it.
	loadShort = 1.5
)

// bottleneck names what the agent lacks. It lacks nothing while it is on time, however busy the hub is.
func (s seen) bottleneck() Bottleneck {
	busy := s.processor >= processorShort || s.processor == unknownShare && s.load >= loadShort
	switch {
	case !s.processorLate() && !s.diskLate() && s.dropped == 0:
		return None
	case s.memory >= memoryShort:
		return OfMemory
	case s.diskLate() && (s.disk >= diskBusy || s.disk == unknownShare && !busy):
		return OfDisk
	case busy && s.hot:
		return OfHeat
	case busy:
		return OfProcessor
	}
	return None // something else is at fault: a virtual machine that was paused, a burst of packets
}

// consequence says how the lag shows.
func (s seen) consequence() string {
	switch {
	case s.diskLate():
		return fmt.Sprintf("written data was durable after %s, and is to be every %s", humanize.Length(s.Sync), humanize.Length(s.Beat))
	case s.dropped > 0:
		return humanize.Count(s.dropped, "packet") + " of cameras over UDP came before the agent could read them, and were dropped"
	}
	return fmt.Sprintf("the agent was late %d of %d times", s.Late, s.Moments)
}

// fault says what is wrong and what to do.
func (b Bottleneck) fault(s seen) *health.Fault {
	const form = "The hub cannot keep up, so that frames may be lost: %s (%s%s). %s"
	waited := func(share float64, what string) health.Varying {
		if share < 0 {
			return ""
		}
		return health.Varying(fmt.Sprintf("; it waited for %s %.0f %% of the time", what, 100*share))
	}
	lag := health.Varying(s.consequence())
	switch b {
	case OfMemory:
		return health.SystemFault(codeOverloaded, nil, form, "it has too little memory", lag, waited(s.memory, "memory"),
			"End other programs, or give the hub more memory.")
	case OfDisk:
		return health.SystemFault(codeOverloaded, nil, form, "its disk is too slow", lag, waited(s.disk, "the disk"),
			"Record to a faster disk, record fewer cameras or with less bitrate, or end other programs that use the disk.")
	case OfHeat:
		return health.SystemFault(codeOverloaded, nil, form, "it is too hot, and its processor was slowed down", lag,
			waited(s.processor, "the processor"), "Cool the hub: a fan, a heat sink, more air, no sun.")
	default:
		return health.SystemFault(codeOverloaded, nil, form, "its processor is too busy", lag, waited(s.processor, "the processor"),
			"End other programs, record fewer cameras or their smaller streams, or take a faster hub.")
	}
}
