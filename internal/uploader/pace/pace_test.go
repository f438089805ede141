package pace

import (
	"math/rand/v2"
	"testing"
	"time"
)

// However late the uploader wakes, no window of a second holds more fragments than the service
// allows; and where it wakes in time, nearly all that is allowed is used.
func TestThePaceIsBelowWhatTheServiceAllowsInAnyWindow(t *testing.T) {
	t.Parallel()
	const allowed = 5 // fragments within a second
	for _, latest := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond, 300 * time.Millisecond} {
		chance := rand.New(rand.NewPCG(1, uint64(latest)))
		now := time.Unix(1_795_000_000, 0)
		b := newBucket(FragmentsPerSecond, fragmentBurst)
		b.now = func() time.Time { return now }
		var starts []time.Time
		for len(starts) < 10_000 {
			if wait := b.ready(); wait > 0 {
				now = now.Add(b.onBeat(wait) + time.Duration(chance.Int64N(int64(latest)+1)))
				continue
			}
			b.take(1)
			starts = append(starts, now)
		}
		for i, end := range starts[allowed:] {
			if took := end.Sub(starts[i]); took < time.Second {
				t.Fatalf("waking up to %s late, fragments %d to %d began within %s", latest, i, i+allowed, took)
			}
		}
		took := starts[len(starts)-1].Sub(starts[0]).Seconds()
		share := float64(len(starts)-1) / took / allowed
		if latest <= 10*time.Millisecond && share < 0.975 {
			t.Errorf("waking up to %s late, %.1f %% of the allowed rate are used", latest, 100*share)
		}
	}
}

// Streams that begin at any time soon begin their fragments together, and stay together.
func TestFragmentsOfAllStreamsBeginOnCommonBeats(t *testing.T) {
	t.Parallel()
	const streams, fragments = 8, 1000
	const apart = int64(time.Second) * 10 / 49 / beats
	at := func(n int) time.Duration { // of the last fragment, behind a beat
		chance := rand.New(rand.NewPCG(3, uint64(n)))
		now := time.Unix(1_795_000_000, chance.Int64N(int64(time.Second)))
		b := newBucket(FragmentsPerSecond, fragmentBurst)
		b.now = func() time.Time { return now }
		for range fragments {
			for wait := b.ready(); wait > 0; wait = b.ready() {
				now = now.Add(b.onBeat(wait) + time.Duration(chance.Int64N(int64(time.Millisecond))))
			}
			b.take(1)
		}
		return time.Duration(now.UnixNano() % apart)
	}
	for n := range streams {
		if behind := at(n); behind > 10*time.Millisecond {
			t.Errorf("stream %d begins its fragments %s behind the beat", n, behind)
		}
	}
}

// Whatever is sent when, in chunks of whatever size, no window of a second holds more bytes than the
// service allows; and a stream that always has something to send uses nearly all of it.
func TestBurstsOfBytesAreBelowWhatTheServiceAllowsInAnyWindow(t *testing.T) {
	t.Parallel()
	const allowed, chunk = 12_500_000, 128 << 10
	for _, idle := range []time.Duration{0, 250 * time.Millisecond, 3 * time.Second} {
		chance := rand.New(rand.NewPCG(2, uint64(idle)))
		p := New(Options{})
		now := time.Unix(1_795_000_000, 0)
		p.bytes.now = func() time.Time { return now }
		p.second.now = p.bytes.now
		var sent []passage
		total, began := 0.0, now
		for len(sent) < 20_000 {
			n := 1 + chance.IntN(chunk)
			now = now.Add(p.Bytes(n) + // woken late now and then
				time.Duration(chance.Int64N(int64(10*time.Millisecond))*int64(chance.IntN(20)/19)))
			sent = append(sent, passage{now, float64(n)})
			total += float64(n)
			if idle > 0 && chance.IntN(100) == 0 {
				now = now.Add(time.Duration(chance.Int64N(int64(idle))))
			}
		}
		first, within := 0, 0.0
		for _, x := range sent {
			for within += x.n; x.at.Sub(sent[first].at) >= time.Second; first++ {
				within -= sent[first].n
			}
			if within > allowed {
				t.Fatalf("idle for up to %s, %.0f bytes were sent within a second", idle, within)
			}
		}
		if share := total / now.Sub(began).Seconds() / allowed; idle == 0 && share < 0.97 {
			t.Errorf("%.1f %% of the allowed rate are used", 100*share)
		}
	}
}
