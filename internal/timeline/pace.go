package timeline

import "time"

const (
	// paceInterval is how long arrivals are watched before the pace counts as measured.
	paceInterval = 10 * time.Second
	// paceBucket is the part of an interval of which only the timeliest access unit counts: the others were delayed
	// by the network.
	paceBucket = time.Second
	// stretchLength is how long the pace is watched for deviations that an interval of paceInterval does not show.
	stretchLength = 5 * time.Minute
	// leastPace and mostPace bound the pace of real timestamps.
	leastPace = 0.005
	mostPace  = 200
)

// paceMarks are the ages of an interval at which the pace is evaluated: the last is paceInterval.
var paceMarks = [...]time.Duration{4 * time.Second, 7 * time.Second, paceInterval}

// paceSample is an access unit: its times of arrival and by the camera's clock.
type paceSample struct{ arrival, media time.Duration }

func (s paceSample) lead() time.Duration { return s.media - s.arrival }

// paceMeter measures the pace of a camera's clock over intervals of 10 s, by the timeliest access units at
// the start and at the end of each.
type paceMeter struct {
	started  bool
	start    time.Duration // of the interval, by arrival
	mark     int           // index of the next in paceMarks
	bucket   time.Duration // end of the present bucket, by arrival
	best     paceSample    // the timeliest of the present bucket
	hasBest  bool
	first    paceSample // the timeliest of the interval's first bucket
	hasFirst bool
	stretch  paceSample // the same for the first of several intervals
}

// add adds an access unit that was not delayed. ok reports that a mark was reached: pace was measured over that time.
func (m *paceMeter) add(s paceSample) (pace float64, over time.Duration, ok bool) {
	if !m.started {
		*m = paceMeter{started: true, start: s.arrival, bucket: s.arrival + paceBucket}
	}
	if s.arrival >= m.bucket {
		if m.hasBest {
			pace, over, ok = m.endBucket()
		}
		m.hasBest = false
		m.bucket = s.arrival + paceBucket
	}
	if !m.hasBest || s.lead() > m.best.lead() {
		m.best, m.hasBest = s, true
	}
	return pace, over, ok
}

// endBucket ends a bucket.
func (m *paceMeter) endBucket() (pace float64, over time.Duration, ok bool) {
	if !m.hasFirst {
		m.first, m.stretch, m.hasFirst = m.best, m.best, true
		return 0, 0, false
	}
	if m.bucket-m.start < paceMarks[m.mark] {
		return 0, 0, false
	}
	took := m.best.arrival - m.first.arrival
	if took < paceMarks[m.mark]/2 {
		return 0, 0, false
	}
	over = paceMarks[m.mark]
	if m.mark++; m.mark == len(paceMarks) {
		m.mark, m.start = 0, m.bucket
		pace = float64(m.best.media-m.first.media) / float64(took)
		m.first = m.best
		return pace, over, true
	}
	return float64(m.best.media-m.first.media) / float64(took), over, true
}

// long is the pace over all intervals of the stretch, which ends when it is long enough, or with end.
func (m *paceMeter) long(end bool) (pace float64, over time.Duration) {
	over = m.first.arrival - m.stretch.arrival // first is the newest, at the end of an interval
	if over <= 0 {
		return 1, 0
	}
	pace = float64(m.first.media-m.stretch.media) / float64(over)
	if end || over >= stretchLength {
		m.stretch = m.first
	}
	return pace, over
}

// recentUnits is how many access units are remembered, to judge an implausible pace.
const recentUnits = 16

// recent is the last access units.
type recent struct {
	units [recentUnits]paceSample
	n     int // number of access units
}

func (r *recent) add(s paceSample) {
	r.units[r.n%recentUnits] = s
	r.n++
}

// pace is the pace of the last units, a few of which may be stray ones: the median pace of
// pairs at half their distance. ok is false when the pairs do not agree.
func (r *recent) pace(units int) (pace float64, ok bool) {
	if units > min(r.n, recentUnits) || units < 4 {
		return 0, false
	}
	var paces [recentUnits / 2]float64
	half := units / 2
	for i := range half {
		a, b := r.units[(r.n-units+i)%recentUnits], r.units[(r.n-units+i+half)%recentUnits]
		if b.arrival <= a.arrival {
			return 0, false
		}
		paces[i] = float64(b.media-a.media) / float64(b.arrival-a.arrival)
	}
	return medianPace(paces[:half])
}

// medianPace is the median of paces; ok is false when half of them are far from it.
func medianPace(paces []float64) (median float64, ok bool) {
	for i := 1; i < len(paces); i++ { // insertion sort is fine for a few
		for j := i; j > 0 && paces[j] < paces[j-1]; j-- {
			paces[j], paces[j-1] = paces[j-1], paces[j]
		}
	}
	median = paces[len(paces)/2]
	low, high := paces[len(paces)/4], paces[len(paces)-1-len(paces)/4]
	return median, median > leastPace && median < mostPace && low > median/2 && high < median*2
}
