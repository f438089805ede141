package fakecam

import "time"

// sound has the packets of a camera's microphone: always the same ones.
type sound struct {
	payloads [][]byte      // of RTP packets, sent in turn
	ticks    uint32        // of a packet
	every    time.Duration // of a packet
}

// sounds are the kinds of audio, by Options.Audio.
var sounds = map[string]sound{
	// One silent AAC frame of 1024 samples at 16 kHz, with its AU header (RFC 3640, section 3.3.6).
	AudioAAC:   {[][]byte{{0, 16, 0, 6 << 3, 0x00, 0xC8, 0x00, 0x80, 0x23, 0x80}}, 1024, 64 * time.Millisecond},
	AudioMuLaw: {[][]byte{tone(0x80)}, 160, 20 * time.Millisecond},
	AudioALaw:  {[][]byte{tone(0x55)}, 160, 20 * time.Millisecond},
}

// tone is 20 ms of a square wave of 500 Hz; the sign is the first bit of a sample.
func tone(sample byte) []byte {
	b := make([]byte, 160)
	for i := range b {
		b[i] = sample ^ byte(i/8%2)<<7
	}
	return b
}

// Mute stops the audio of all sessions, like a camera whose microphone is switched off.
func (c *Camera) Mute(on bool) {
	c.controls.mu.Lock()
	defer c.controls.mu.Unlock()
	c.controls.muted = on
}

// run sends audio until stop is closed. Its RTP timestamps advance while it is muted.
func (s sound) run(controls *controls, send func(payload []byte, timestamp uint32), stop <-chan struct{}) {
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		timer.Reset(time.Until(begin.Add(time.Duration(n) * s.every)))
		select {
		case <-timer.C:
		case <-stop:
			return
		}
		controls.mu.RLock()
		silent := controls.muted || controls.stalled
		controls.mu.RUnlock()
		if !silent {
			send(s.payloads[n%len(s.payloads)], uint32(n)*s.ticks)
		}
	}
}
