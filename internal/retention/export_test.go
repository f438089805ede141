package retention

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Pass makes one pass, as Run does.
func (k *Keeper) Pass(ctx context.Context) { k.pass(ctx) }

// Measure measures the disk, as each pass does.
func (k *Keeper) Measure() { k.measure() }

// ClockTrusted returns whether the last pass trusted the clock.
func (k *Keeper) ClockTrusted() bool { return k.clock.trusted.Load() }

// WaitForNoSpace has passes not wait for deletions to free space.
func (k *Keeper) WaitForNoSpace() { k.awaitFor = 0 }

// Account describes what deletions freed.
func (k *Keeper) Account() string { return fmt.Sprintf("%+v", k.account) }

// MemoryDir is a directory in memory where the machine has one: syncing is not what is tested here.
func MemoryDir(t *testing.T) string {
	t.Helper()
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "kvs-edge")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
