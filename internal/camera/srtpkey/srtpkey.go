// Package srtpkey reads the keys of SRTP that cameras announce (MIKEY, RFC 3830), and rewrites them for the RTSP library. It
// handles no sessions.
package srtpkey

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/mikey"
)

// policy is the permitted values of one parameter, the first of which is the default (RFC 3830,
// section 6.10.1). The library requires all that it names, and supports one encryption: AES in counter mode, HMAC-SHA1-80.
type policy struct {
	kind   mikey.PayloadSPPolicyParamType
	values []byte
	named  bool // the library requires it
	as     byte // the value that the library requires
}

var policies = []policy{
	{mikey.PayloadSPPolicyParamTypeEncrAlg, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSessionEncrKeyLen, []byte{16}, true, 16},
	{mikey.PayloadSPPolicyParamTypeAuthAlg, []byte{1}, true, 1},
	// The key has 20 bytes. The library expects 10, which is the length of the tag, and uses the right one.
	{mikey.PayloadSPPolicyParamTypeSessionAuthKeyLen, []byte{20, 10}, true, 10},
	{mikey.PayloadSPPolicyParamTypeSessionSaltKeyLen, []byte{14}, false, 0},
	{mikey.PayloadSPPolicyParamTypeSRTPEncrOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSRTCPEncrOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSRTPAuthOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeAuthTagLen, []byte{10}, false, 0},
}

// Readable rewrites a message, in base64, for the library; it returns "" when that is impossible. Its time is now:
// the library refuses the messages of cameras whose clock is wrong.
func Readable(encoded string, now time.Time) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	var m mikey.Message
	if err != nil || len(raw) == 0 || m.Unmarshal(raw) != nil {
		return ""
	}
	others := slices.DeleteFunc(slices.Clone(m.Payloads), func(p mikey.Payload) bool {
		_, isTime := p.(*mikey.PayloadT)
		_, isPolicy := p.(*mikey.PayloadSP)
		return isTime || isPolicy
	})
	said := &mikey.PayloadSP{}
	for _, p := range m.Payloads {
		if sp, ok := p.(*mikey.PayloadSP); ok {
			said = sp
			break
		}
	}
	written := &mikey.PayloadSP{PolicyNo: said.PolicyNo, ProtType: said.ProtType}
	for _, p := range policies {
		if !p.allows(said) {
			return ""
		}
		if p.named {
			written.PolicyParams = append(written.PolicyParams, mikey.PayloadSPPolicyParam{Type: p.kind, Value: []byte{p.as}})
		}
	}
	m.Payloads = append([]mikey.Payload{&mikey.PayloadT{TSValue: ntp(now)}, written}, others...)
	raw, err = m.Marshal()
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// allows reports whether the value of a parameter in a message, if it is present, is permitted.
func (p policy) allows(said *mikey.PayloadSP) bool {
	for _, param := range said.PolicyParams {
		if param.Type == p.kind && (len(param.Value) != 1 || !bytes.Contains(p.values, param.Value)) {
			return false
		}
	}
	return true
}

// ntp returns a time in seconds since 1900, with the fraction in 32 bits.
func ntp(t time.Time) uint64 {
	const unixEpoch = 2_208_988_800
	return uint64(t.Unix()+unixEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// data is the message in a KeyMgmt header (RFC 4567, section 4.4).
var data = regexp.MustCompile(`data="([^"]*)"`)

// Header is Readable for the message in the value of a KeyMgmt header. What cannot be read is returned unchanged.
func Header(value string, now time.Time) string {
	m := data.FindStringSubmatchIndex(value)
	if m == nil {
		return value
	}
	if readable := Readable(value[m[2]:m[3]], now); readable != "" {
		return value[:m[2]] + readable + value[m[3]:]
	}
	return value
}
