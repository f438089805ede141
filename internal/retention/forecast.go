package retention

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Forecast is what becomes of a stream's space, or of the disk, when recording goes on as now.
type Forecast struct {
	// Days of media that fit at the present bitrate. 0: nothing is recorded now.
	Days float64
	// FullAt is when the limit will be reached. Zero: never, because age or upload deletes before.
	FullAt time.Time
	// NextBytes is what the next pass will delete, and NextNotUploaded what of it is not uploaded.
	NextBytes       int64
	NextNotUploaded int64
}

// Forecast looks ahead for a stream.
func (k *Keeper) Forecast(stream string) Forecast {
	now, p := k.o.Now(), k.policy(stream)
	u := k.o.Store.Usage(stream)
	f := Forecast{}
	f.NextBytes, f.NextNotUploaded = k.next(stream, p, now, u.Bytes)
	if p.MaxBytes > 0 {
		f.fit(now, u.Bytes, p.MaxBytes-p.MaxBytes/roomShare, k.rate(stream), p.MaxAge)
		return f
	}
	// Without a limit of its own the stream has what the disk has left for all.
	if free, need, ok := k.diskRoom(); ok {
		all, held := k.total()
		disk := Forecast{}
		disk.fit(now, held, held+free-need, all, 0)
		f.Days = disk.Days
		if p.MaxAge == 0 || disk.Days*24 < p.MaxAge.Hours() {
			f.FullAt = disk.FullAt
		}
	}
	return f
}

// DiskForecast looks ahead for the disk.
func (k *Keeper) DiskForecast() Forecast {
	f := Forecast{}
	if free, need, ok := k.diskRoom(); ok {
		rate, held := k.total()
		f.fit(k.o.Now(), held, held+free-need, rate, 0)
		f.NextBytes = max(0, need-free)
	}
	return f
}

// fit works out how much fits, and until when. What is deleted by age first never fills it.
func (f *Forecast) fit(now time.Time, held, limit, rate int64, maxAge time.Duration) {
	if rate <= 0 {
		return
	}
	limit = max(limit, 0)
	f.Days = float64(limit) / float64(rate) / 86400
	if maxAge > 0 && float64(rate)*maxAge.Seconds() < float64(limit) {
		return
	}
	const horizon = 100 * 365 * 86400 // beyond it a time.Duration overflows
	f.FullAt = now.Add(time.Duration(min(max(0, limit-held)/rate, horizon)) * time.Second)
}

// next sums up what a pass would delete of a stream now.
func (k *Keeper) next(stream string, p Policy, now time.Time, held int64) (bytes, notUploaded int64) {
	gone := make(map[int64]bool)
	take := func(s segment.Info) {
		if gone[s.Start] {
			return
		}
		gone[s.Start] = true
		bytes += s.Bytes
		if s.State != segment.Uploaded {
			notUploaded += s.Bytes
		}
	}
	if p.DeleteAfterUpload {
		for s := range k.o.Store.Walk(stream, segment.UploadedWhole) {
			take(s)
		}
	}
	if p.MaxAge > 0 && k.trusted.Load() {
		for s := range k.old(stream, now.Add(-p.MaxAge)) {
			take(s)
		}
	}
	if p.OnFull == DeleteOldest {
		for _, which := range deletionOrder {
			for s := range k.o.Store.Walk(stream, which) {
				if !p.full(held - bytes) {
					break
				}
				take(s)
			}
		}
	}
	return bytes, notUploaded
}

// rate is what a stream records now, in bytes a second.
func (k *Keeper) rate(stream string) int64 {
	return k.o.Health.Part(stream, health.JobRecorder).Number(health.BitrateBPS).Load() / 8
}

// total sums up all streams.
func (k *Keeper) total() (rate, held int64) {
	k.mu.Lock()
	for stream := range k.policies {
		rate += k.rate(stream)
	}
	k.mu.Unlock()
	for _, stream := range k.o.Store.Streams() {
		held += k.o.Store.Usage(stream).Bytes
	}
	return rate, held
}

// diskRoom gives what is free and what of it must stay free.
func (k *Keeper) diskRoom() (free, need int64, ok bool) {
	f, total, err := k.o.Store.DiskFree()
	return int64(f), int64(k.o.MinFree(total)), err == nil
}
