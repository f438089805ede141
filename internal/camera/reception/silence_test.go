package reception_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
)

// TestALateCheckProvesNoSilence runs through a session's checks, by their times.
func TestALateCheckProvesNoSilence(t *testing.T) {
	t.Parallel()
	const limit, every = 10 * time.Second, time.Second
	for name, row := range map[string]struct {
		came  func(check int, at time.Duration) bool
		skips map[time.Duration]time.Duration // when the process is stopped, and for how long
		ends  time.Duration                   // 0: it does not end
	}{
		"a camera that sends": {came: func(int, time.Duration) bool { return true }},
		"one that never does": {ends: 10 * time.Second},
		"one that ends":       {came: func(_ int, at time.Duration) bool { return at <= 5*time.Second }, ends: 15 * time.Second},
		"one that pauses":     {came: func(_ int, at time.Duration) bool { return at%(9*time.Second) == 0 }},
		"one that sends, to a hub that stops for long": {
			// What arrived meanwhile is read after the first check.
			came:  func(check int, _ time.Duration) bool { return check != 6 },
			skips: map[time.Duration]time.Duration{5 * time.Second: time.Hour},
		},
		"one that ended while the hub did not run": {
			came:  func(check int, _ time.Duration) bool { return check <= 5 },
			skips: map[time.Duration]time.Duration{5 * time.Second: time.Hour}, ends: time.Hour + 8*time.Second,
		},
		"one that ended before a short stop": {
			came:  func(check int, _ time.Duration) bool { return check <= 2 },
			skips: map[time.Duration]time.Duration{4 * time.Second: 3 * time.Second}, ends: 12 * time.Second,
		},
		"a hub that stops repeatedly": {
			came: func(check int, _ time.Duration) bool { return check%3 == 0 },
			skips: map[time.Duration]time.Duration{
				2 * time.Second: 20 * time.Second, 24 * time.Second: 20 * time.Second, 46 * time.Second: time.Minute,
			},
		},
		"one that never does, to a hub that is always late": {
			skips: map[time.Duration]time.Duration{
				0: 3 * time.Second, 4 * time.Second: 3 * time.Second, 8 * time.Second: 3 * time.Second, 12 * time.Second: 3 * time.Second,
			}, ends: 16 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			quiet, ended := reception.NewSilence(limit, every, began), time.Duration(0)
			at := time.Duration(0)
			for check := 1; check <= 40 && ended == 0; check++ {
				at += every + row.skips[at]
				now := began.Add(at)
				switch {
				case quiet.Late(now):
				case row.came != nil && row.came(check, at):
					quiet.Broken(now)
				case quiet.TooLong(now):
					ended = at
				}
			}
			if ended != row.ends {
				t.Errorf("it ends after %s, want %s", ended, row.ends)
			}
		})
	}
}
