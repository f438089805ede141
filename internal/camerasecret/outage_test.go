package camerasecret

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// newAddress is where the camera is after a person, or DHCP, has moved it.
const newAddress = "rtsp://admin:hunter3@10.0.0.8/stream"

// outages are what a recorder reports of a camera that it cannot record.
var outages = []string{
	"The camera at 10.0.0.7 refuses connections: check that it is on and that its RTSP port is right.",
	"The name of the camera at door.lan cannot be resolved: check the secret's MediaURI and the hub's DNS.",
	"The camera at 10.0.0.7 does not answer: check that it is on and reachable.",
	"The camera at 10.0.0.7 has no such stream: correct the path in the secret's MediaURI.",
	"The camera at 10.0.0.7 refuses the user name or password: correct the secret's MediaURI.",
}

// kept is a cache with its keeper.
type kept struct {
	*Cache
	secrets *fakeSecrets
	stop    func()
}

func keepCameras(t *testing.T, path string, key *sealer, secrets *fakeSecrets) kept {
	t.Helper()
	c := newCameras(t, path, secrets, key)
	c.Want(map[string]bool{testSecret: true})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	synctest.Wait()
	return kept{c, secrets, func() { cancel(); group.Wait() }}
}

func (k kept) url(t *testing.T) string {
	t.Helper()
	url, err := k.URL(t.Context(), testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return url.Reveal()
}

func TestTheSecretOfACameraThatFailsIsReadAgain(t *testing.T) {
	t.Parallel()
	key := testSealer(t)
	for _, why := range outages {
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			secrets := newFakeSecrets()
			secrets.set(testSecret, cameraURL)
			k := keepCameras(t, path, key, secrets)
			defer func() { k.stop() }()
			k.Served(testSecret)
			time.Sleep(30 * time.Minute)
			before := secrets.count(testSecret)

			k.Failed(testSecret, why)
			synctest.Wait()
			if n := secrets.count(testSecret) - before; n != 1 {
				t.Errorf("%q: %d readings at once, want 1", why, n)
			}
			for range 2 * 60 * 2 { // the recorder tries every 30 s for two hours
				time.Sleep(30 * time.Second)
				k.Failed(testSecret, why)
			}
			// At once, then 1, 3, 7, 15 min and every 15 min: 5 in the first 15 min, 7 in the rest of two hours.
			if n := secrets.count(testSecret) - before; n < 10 || n > 15 {
				t.Errorf("%q: %d readings in two hours", why, n)
			}

			secrets.set(testSecret, newAddress)
			restarted := time.Now()
			k.stop()
			k = keepCameras(t, path, key, secrets) // with the sealed URL of before
			k.Failed(testSecret, why)
			synctest.Wait()
			if got := k.url(t); got != newAddress || time.Since(restarted) > time.Second {
				t.Errorf("%q: after a restart the recorder gets %s", why, got)
			}
			if !k.LastRead(testSecret).Equal(time.Now()) {
				t.Errorf("%q: the time of the reading is %s", why, k.LastRead(testSecret))
			}
		})
	}
}

func TestReadingOnDemandIsAtOnceAndWakesWhoWaits(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		k := keepCameras(t, path, key, secrets)
		defer k.stop()
		for range 200 { // an outage in which the pauses have grown
			k.Failed(testSecret, outages[0])
			time.Sleep(30 * time.Second)
		}
		for name, ask := range map[string]func(){
			"reload":            func() { k.ReadNow() },
			"the configuration": func() { k.ReadNow(testSecret) },
		} {
			url := newAddress + "?" + strings.ReplaceAll(name, " ", "")
			secrets.set(testSecret, url)
			changed := k.Changed(testSecret)
			ask()
			synctest.Wait()
			select {
			case <-changed:
			default:
				t.Errorf("%s: who waits for another URL is not woken", name)
			}
			if got := k.url(t); got != url {
				t.Errorf("%s: the recorder gets %s", name, got)
			}
		}
		before := secrets.count(testSecret)
		k.Failed(testSecret, outages[0])
		time.Sleep(75 * time.Second) // the pause begins with 1 min again, ± 20 %
		if n := secrets.count(testSecret) - before; n != 1 {
			t.Errorf("%d readings in the minute after a change, want 1", n)
		}
	})
}

func TestASecretThatCannotBeUsedIsReadAgainInTime(t *testing.T) {
	t.Parallel()
	key := testSealer(t)
	for name, c := range map[string]struct {
		fault *health.Fault
		most  int           // readings in an hour in which a recorder asks every 30 s
		limit time.Duration // until it is noticed that it can be used
	}{
		"missing":     {health.UserFault("secret-not-found", nil, "The secret does not exist."), 16, rereadFailed * 6 / 5},
		"unreachable": {health.SystemFault("secret-unreachable", nil, "Secrets Manager cannot be reached."), 140, 30 * time.Second},
		"credentials": {health.UserFault("credentials-role-alias", nil, "The role alias does not exist."), 140, 30 * time.Second},
	} {
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			secrets := newFakeSecrets()
			secrets.fail(c.fault)
			k := keepCameras(t, path, key, secrets)
			defer k.stop()
			try := func() error {
				time.Sleep(30 * time.Second)
				_, err := k.URL(t.Context(), testSecret)
				return err
			}
			for range 120 {
				if try() == nil {
					t.Fatalf("%s: a URL from nowhere", name)
				}
			}
			if n := secrets.count(testSecret); n > c.most {
				t.Errorf("%s: %d readings in an hour, want %d at most", name, n, c.most)
			}
			secrets.set(testSecret, cameraURL)
			began := time.Now()
			for try() != nil {
			}
			if took := time.Since(began); took > c.limit+30*time.Second {
				t.Errorf("%s: noticed after %s", name, took)
			}
			if worst, ok := k.health.Snapshot().Worst(); ok {
				t.Errorf("%s: %q is still shown", name, worst.Text)
			}
		})
	}
}

// counting is a Secrets Manager that only counts.
type counting struct{ calls int }

func (c *counting) MediaURI(context.Context, string) (secret.String, error) {
	c.calls++
	return secret.New(cameraURL), nil
}

const (
	day      = 24 * time.Hour
	tryEvery = 30 * time.Second // how often a recorder tries a camera that is down
	// mostADay are the readings of a camera in a day: 96 at 15 min less jitter, and 4 for each change of its fault.
	mostADay = 125
)

// fleetFaults are what the recorder reports of a camera that is down, with each try.
var fleetFaults = map[string]func(try int) string{
	"off":      func(int) string { return outages[0] },
	"flapping": func(try int) string { return outages[try%len(outages)] },
}

// TestAFleetThatIsDownReadsAHundredTimesADay has 8,000 cameras down for a day. AWS takes 0.05 USD for 10,000
// calls: that is 4 USD a day, where a reading with each try of the recorder would cost 115.
func TestAFleetThatIsDownReadsAHundredTimesADay(t *testing.T) {
	t.Parallel()
	const fleet = 8000
	for name, why := range fleetFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			for range fleet {
				calls += readingsADay(why)
			}
			t.Logf("%d cameras: %d calls of GetSecretValue a day, %.2f USD", fleet, calls, float64(calls)*0.05/10_000)
			if calls > fleet*mostADay || calls < fleet*90 {
				t.Errorf("%.1f readings a camera and day, want at most %d", float64(calls)/fleet, mostADay)
			}
		})
	}
}

// readingsADay has the pauses of one camera that is down.
func readingsADay(why func(try int) string) (calls int) {
	var o outage
	var asked time.Time
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	due := now.Add(rereadEvery)
	for end, try := now.Add(day), 0; now.Before(end); try++ {
		if sooner := o.failed(why(try), asked, now); !sooner.IsZero() && sooner.Before(due) {
			due = sooner
		}
		if !now.Before(due) {
			asked, due = now, o.read(now)
			calls++
		}
		now = now.Add(tryEvery)
	}
	return calls
}

// TestAHubThatIsDownReadsAsItsCamerasDo has the same with the cache of a hub.
func TestAHubThatIsDownReadsAsItsCamerasDo(t *testing.T) {
	t.Parallel()
	const cameras = 20
	for name, why := range fleetFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets := new(counting)
			simulateDay(t, secrets, cameras, why)
			if secrets.calls > cameras*mostADay || secrets.calls < cameras*90 {
				t.Errorf("%d readings of %d cameras in a day, want at most %d each", secrets.calls, cameras, mostADay)
			}
		})
	}
}

// simulateDay has the cameras of a hub fail for a day.
func simulateDay(t *testing.T, secrets Secrets, n int, why func(try int) string) {
	t.Helper()
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	c := &Cache{
		secrets: secrets, now: func() time.Time { return now }, log: zap.NewNop(), wake: signal.New(),
		health: health.NewRegistry(time.Now).Component("", health.JobConfig), entries: make(map[string]*cached), wanted: make(map[string]bool),
	}
	for i := range n {
		c.wanted[fmt.Sprintf("%s-%02d", testSecret, i)] = true
	}
	arns := slices.Sorted(maps.Keys(c.wanted))
	for end, try := now.Add(day), 0; now.Before(end); try++ {
		for _, arn := range arns {
			c.Failed(arn, why(try))
		}
		for {
			arn, flight, _ := c.nextDue()
			if flight == nil {
				break
			}
			c.fetch(t.Context(), arn, flight)
		}
		now = now.Add(tryEvery)
	}
}
