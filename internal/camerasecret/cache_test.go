package camerasecret

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// fakeSecrets is a Secrets Manager that a test drives.
type fakeSecrets struct {
	mu    sync.Mutex
	urls  map[string]string
	err   error         // answers everything, when set
	block chan struct{} // holds every request until it is closed, when set
	reads map[string]int
}

func newFakeSecrets() *fakeSecrets {
	return &fakeSecrets{urls: make(map[string]string), reads: make(map[string]int)}
}

func (f *fakeSecrets) set(arn, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urls[arn], f.err = url, nil
}

func (f *fakeSecrets) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSecrets) count(arn string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads[arn]
}

// MediaURI implements Secrets.
func (f *fakeSecrets) MediaURI(ctx context.Context, arn string) (secret.String, error) {
	f.mu.Lock()
	f.reads[arn]++
	url, err, block := f.urls[arn], f.err, f.block
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return secret.String{}, ctx.Err()
		}
	}
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(url), nil
}

func newCameras(t *testing.T, path string, secrets Secrets, key *sealer) *Cache {
	t.Helper()
	dir, err := statefile.Open(path, atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cache{
		secrets: secrets, dir: dir, sealer: key, now: time.Now, log: zap.NewNop(),
		health: health.NewRegistry(time.Now).Component("", health.JobConfig), wake: signal.New(),
		entries: make(map[string]*cached), wanted: make(map[string]bool),
	}
	c.load()
	return c
}

// openCache opens the cache of a hub with this device certificate.
func openCache(t *testing.T, path string, secrets Secrets, device *tls.Config) *Cache {
	t.Helper()
	dir, err := statefile.Open(path, atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return Open(Options{
		Secrets: secrets, Dir: dir, Device: device, Now: time.Now, Log: zap.NewNop(),
		Health: health.NewRegistry(time.Now).Component("", health.JobConfig),
	}, nil)
}

func testSealer(t *testing.T) *sealer {
	t.Helper()
	s, err := newSealer(iottest.NewAuthority(t).Device("hub-1"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const testSecret = "arn:aws:secretsmanager:us-west-2:123456789012:secret:cam-AbCdEf"

const cameraURL = "rtsp://admin:hunter2@10.0.0.7/stream"

func TestACameraURLIsReadOnceForManyCallers(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		secrets.block = make(chan struct{})
		c := newCameras(t, path, secrets, key)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if url, err := c.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
					t.Errorf("got %q, %v", url.Reveal(), err)
				}
			})
		}
		synctest.Wait()
		close(secrets.block)
		group.Wait()
		if n := secrets.count(testSecret); n != 1 {
			t.Errorf("%d readings, want 1", n)
		}
	})
}

func TestAKnownURLServesWhateverHappensToSecretsManager(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		before := newCameras(t, path, secrets, key)
		if _, err := before.URL(t.Context(), testSecret); err != nil {
			t.Fatal(err)
		}
		before.save()

		secrets.block = make(chan struct{}) // a black hole
		after := newCameras(t, path, secrets, key)
		after.Want(map[string]bool{testSecret: true})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { after.Run(ctx) })
		began := time.Now()
		for range 3 {
			if url, err := after.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
				t.Errorf("after a restart: got %q, %v", url.Reveal(), err)
			}
			after.Failed(testSecret, "It does not answer.")
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("a recorder was held up for %v", waited)
		}
		time.Sleep(2 * time.Hour)
		if url, err := after.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
			t.Errorf("two hours later: got %q, %v", url.Reveal(), err)
		}
		worst, ok := after.health.Snapshot().Worst()
		if !ok || worst.Code != codeCameraSecret || !strings.Contains(worst.Text, "known from before are used") {
			t.Errorf("condition %+v, want one that says that old URLs are used", worst)
		}
		close(secrets.block)
		time.Sleep(2 * rereadFailed)
		if _, ok := after.health.Snapshot().Worst(); ok {
			t.Error("the condition outlasts the trouble")
		}
		cancel()
		group.Wait()
	})
}

func TestTheFileShowsNoURLAndOpensOnlyWithTheDeviceKey(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	secrets := newFakeSecrets()
	secrets.set(testSecret, cameraURL)
	c := newCameras(t, path, secrets, testSealer(t))
	if _, err := c.URL(t.Context(), testSecret); err != nil {
		t.Fatal(err)
	}
	c.save()
	data, err := os.ReadFile(filepath.Join(path, camerasFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"hunter2", "admin", "10.0.0.7", "rtsp"} {
		if strings.Contains(string(data), part) {
			t.Errorf("the file shows %q", part)
		}
	}
	secrets.fail(errors.New("away"))
	thief := newCameras(t, path, secrets, testSealer(t))
	if url, err := thief.URL(t.Context(), testSecret); err == nil {
		t.Errorf("another device key opened %q", url.Reveal())
	}
	if worst, _ := thief.health.Snapshot().Worst(); worst.Code != codeCameraStore {
		t.Errorf("condition %+v, want %s", worst, codeCameraStore)
	}
}

func TestASealedURLBelongsToItsSecret(t *testing.T) {
	t.Parallel()
	key := testSealer(t)
	sealed := key.seal(secret.New(cameraURL), testSecret)
	if url, err := key.open(sealed, testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("got %q, %v", url.Reveal(), err)
	}
	if _, err := key.open(sealed, testSecret+"2"); err == nil {
		t.Error("it opened for another secret")
	}
}

func TestADamagedFileOfURLsIsSetAsideAndReadAnew(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	if err := os.WriteFile(filepath.Join(path, camerasFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := newFakeSecrets()
	secrets.set(testSecret, cameraURL)
	c := newCameras(t, path, secrets, key)
	if worst, _ := c.health.Snapshot().Worst(); worst.Code != codeCameraStore {
		t.Errorf("condition %+v, want %s", worst, codeCameraStore)
	}
	if url, err := c.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("got %q, %v", url.Reveal(), err)
	}
}

func TestWantedSecretsAreReadAheadAndEveryHour(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		c := newCameras(t, path, secrets, key)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { c.Run(ctx) })
		c.Want(map[string]bool{testSecret: true})
		synctest.Wait()
		if n := secrets.count(testSecret); n != 1 {
			t.Errorf("%d readings ahead of need, want 1", n)
		}
		time.Sleep(10*time.Hour + 30*time.Minute)
		if n := secrets.count(testSecret); n < 10 || n > 13 {
			t.Errorf("%d readings in ten and a half hours, want one an hour", n)
		}
		c.Want(nil)
		synctest.Wait()
		cancel()
		group.Wait()
		secrets.fail(errors.New("away"))
		if _, err := newCameras(t, path, secrets, key).URL(t.Context(), testSecret); err == nil {
			t.Error("the URL of a stream that is no longer configured is still on disk")
		}
	})
}

func TestAFailedFirstReadingIsShownAndNotHammered(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		denied := health.UserFault("secret-denied", nil, "The hub's role may not read the secret.")
		secrets.fail(denied)
		c := newCameras(t, path, secrets, key)
		for range 100 {
			if _, err := c.URL(t.Context(), testSecret); !errors.Is(err, denied) {
				t.Fatalf("got %v, want the fault as it is", err)
			}
		}
		if n := secrets.count(testSecret); n != 1 {
			t.Errorf("%d readings at once, want 1", n)
		}
		secrets.set(testSecret, cameraURL)
		time.Sleep(rereads[0] * 6 / 5)
		if url, err := c.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
			t.Errorf("got %q, %v", url.Reveal(), err)
		}
	})
}

func TestACancelledFirstReaderLeavesTheOthersTheirTurn(t *testing.T) {
	t.Parallel()
	path, key := t.TempDir(), testSealer(t)
	synctest.Test(t, func(t *testing.T) {
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		secrets.block = make(chan struct{})
		c := newCameras(t, path, secrets, key)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.URL(ctx, testSecret); !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled one got %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if url, err := c.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
				t.Errorf("the second got %q, %v", url.Reveal(), err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(secrets.block)
		group.Wait()
	})
}

// A run as root leaves files that the agent's user may not read: they are not damaged.
func TestAFileOfURLsThatCannotBeReadIsNotCalledDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, camerasFile)
	if err := os.Symlink(camerasFile, path); err != nil { // leads to itself: nobody can open it
		t.Fatal(err)
	}
	c := openCache(t, dir, newFakeSecrets(), iottest.NewAuthority(t).Device("hub-1"))
	worst, _ := c.health.Snapshot().Worst()
	if !strings.Contains(worst.Text, path) || !strings.Contains(worst.Text, "cannot be read: give it to the agent's user") ||
		strings.Contains(worst.Text, "damaged") {
		t.Errorf("it says %q", worst.Text)
	}
}
