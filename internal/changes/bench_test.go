package changes

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// sums is a store of which only sums are asked.
type sums struct{ bytes int64 }

func (s *sums) Usage(string) segment.Usage { return segment.Usage{Segments: 1000, Bytes: s.bytes} }

func (*sums) DiskFree() (free, total uint64, err error) { return 1 << 40, 1 << 41, nil }

// BenchmarkCompare is what each second costs while somebody follows, and each change of a state at any time: a snapshot of a
// hub whose streams all record, and what differs from the previous one.
func BenchmarkCompare(b *testing.B) {
	for _, streams := range []int{16, 100} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			registry, store := health.NewRegistry(time.Now), new(sums)
			var infos []status.StreamInfo
			for i := range streams {
				name := fmt.Sprintf("camera-%03d", i)
				infos = append(infos, status.StreamInfo{Name: name})
				for _, job := range []string{health.JobRecorder, health.JobUploader, health.JobRetention, health.JobConfig, health.JobStore} {
					part := registry.Component(name, job)
					part.SetState("recording")
					for n := range 12 {
						part.Counter(fmt.Sprint("number", n)).Add(1)
					}
				}
			}
			collector := status.Collector{
				Now: time.Now, Health: registry, Store: store, Streams: func() []status.StreamInfo { return infos },
			}
			f := New(Options{Snapshot: collector.Snapshot, Watch: registry.Watch, Now: time.Now})
			f.Compare()
			b.ReportAllocs()
			for b.Loop() {
				store.bytes++ // each stream has grown
				f.Compare()
			}
		})
	}
}
