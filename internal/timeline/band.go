package timeline

import "time"

// band is how far times may differ from arrival: aheadLimit and behindLimit, and for a while more where the target
// was moved and times are slewed to it.
type band struct {
	ceiling time.Duration // how far times were ahead of the band when the target was moved, until they are slewed
	floor   time.Duration // how far they lagged behind it then
}

// excuse lets times stay where they are although the target was moved: they are slewed.
func (b *band) excuse(lead time.Duration) {
	b.ceiling, b.floor = max(b.ceiling, lead), max(b.floor, -lead)
}

// narrow reduces what was excused, as far as times have been slewed.
func (b *band) narrow(lead time.Duration) {
	b.ceiling, b.floor = min(b.ceiling, max(lead, 0)), min(b.floor, max(-lead, 0))
}

// most is how far times may be ahead of arrival.
func (b *band) most() time.Duration { return max(aheadLimit, b.ceiling) }

// correction is how much times with this lead must be moved to stay in the band, which is wider by slack behind
// arrival; 0 within it.
func (b *band) correction(lead, slack time.Duration) time.Duration {
	most, least := b.most(), -max(behindLimit, b.floor)-slack
	switch {
	case lead > most:
		return most - lead
	case lead < least:
		return least - lead
	}
	return 0
}
