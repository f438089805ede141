package pulse

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTicksAreAtCommonInstants(t *testing.T) {
	t.Parallel()
	for _, begins := range []time.Duration{0, time.Millisecond, 1900 * time.Millisecond, 4700 * time.Millisecond, 4999 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(begins)
			a := NewTicker(time.Second)
			time.Sleep(13 * time.Millisecond)
			b := NewTicker(5 * time.Second)
			defer a.Stop()
			defer b.Stop()
			began, ticks := time.Now(), 0
			for range 3 {
				at := <-b.C
				if at.UnixNano()%int64(5*time.Second) != 0 {
					t.Errorf("begun after %s, a tick is at %s", begins, at)
				}
				select {
				case other := <-a.C: // the oldest that nobody took
					if ticks++; other.UnixNano()%int64(time.Second) != 0 {
						t.Errorf("begun after %s, the other one ticks at %s", begins, other)
					}
				default:
					t.Error("the other one does not tick")
				}
			}
			if took := time.Since(began); took < 10*time.Second || took > 16*time.Second || ticks != 3 {
				t.Errorf("three ticks take %s, with %d of the other", took, ticks)
			}
		})
	}
}

func TestATickerThatIsStoppedDoesNotTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ticker := NewTicker(time.Second)
		<-ticker.C
		ticker.Stop()
		ticker.Stop()
		time.Sleep(time.Minute)
		select {
		case at := <-ticker.C:
			t.Error(at)
		default:
		}
	})
}

func TestTheNextInstantIsNeitherNowNorMuchLaterThanTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 1000 {
			for _, interval := range []time.Duration{time.Second, 5 * time.Second, 800 * time.Millisecond, time.Nanosecond} {
				if wait := Until(interval); wait <= 0 || wait < interval/near || wait > interval+interval/near {
					t.Fatalf("%s after %s", wait, interval)
				}
			}
			time.Sleep(7919 * time.Microsecond)
		}
	})
}
