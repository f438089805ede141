package retention

import (
	"time"
)

// Forecast predicts the use of a stream's space, or of the disk, if recording continues as now.
type Forecast struct {
	// Days of media for which there is room at the present bitrate. 0: nothing is recorded now, or to another disk.
	Days float64
	// FullAt is when the limit will be reached. Zero: never, because age or upload deletes before; or not known, as for Days.
	FullAt time.Time
	// NextBytes is what the next pass will delete, and NextNotUploaded the part of it that is not uploaded.
	NextBytes       int64
	NextNotUploaded int64
}

// Forecast returns the forecast of a stream.
func (k *Keeper) Forecast(stream string) Forecast {
	now, p := k.o.Now(), k.policy(stream)
	u := k.o.Store.Usage(stream)
	f := Forecast{}
	n := newPreview()
	k.previewPolicy(n, stream, p, now)
	f.NextBytes, f.NextNotUploaded = n.bytes, n.notUploaded
	if p.MaxBytes > 0 {
		f.fit(now, u.Bytes-u.HeldBytes, p.most(), k.rate(stream), p.MaxAge)
		return f
	}
	if !k.o.Store.SameDisk(stream) {
		return f // how much room another disk has is not known
	}
	// Without a limit of its own the stream may use the room that the disk has for all.
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

// DiskForecast returns the forecast of the disk of the recording directory. The next pass deletes by the policies of all
// streams on it, and for the space of the disk.
func (k *Keeper) DiskForecast() Forecast {
	f := Forecast{}
	now, streams := k.o.Now(), k.onDisk(k.known())
	n := newPreview()
	for _, stream := range streams {
		k.previewPolicy(n, stream, k.policy(stream), now)
	}
	if free, need, ok := k.diskRoom(); ok {
		rate, held := k.total()
		f.fit(now, held, held+free-need, rate, 0)
		k.previewReclaim(n, streams, need-free)
	}
	f.NextBytes, f.NextNotUploaded = n.bytes, n.notUploaded
	return f
}

// Room returns how much media the disk can have, including the present media.
func (k *Keeper) Room() (bytes int64, ok bool) {
	free, need, ok := k.diskRoom()
	_, held := k.total()
	return max(0, held+free-need), ok
}

// JudgeClock judges the clock as a pass does and deletes nothing. It is for forecasts without Run.
func (k *Keeper) JudgeClock() {
	k.clock.judge(k.known(), k.o.Synchronised())
}

// fit computes how much media there is room for, and until when. Media that is deleted by age before does not fill the
// limit.
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

// diskRoom returns the free bytes and how many of them must stay free.
func (k *Keeper) diskRoom() (free, need int64, ok bool) {
	f, total, err := k.o.Store.DiskFree()
	return int64(f), int64(k.o.MinFree(total)), err == nil
}
