// Package srtpkey reads the keys of SRTP that cameras announce (MIKEY, RFC 3830), and writes them as the RTSP library reads them. It
// knows no sessions.
package srtpkey

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/mikey"
)

// policy is what a message may say of one parameter: any of some values, the first of which is meant when it says nothing (RFC 3830,
// section 6.10.1). The library wants all that it names, and knows one way to encrypt: AES in counter mode, HMAC-SHA1-80.
type policy struct {
	kind   mikey.PayloadSPPolicyParamType
	values []byte
	named  bool // to the library
	as     byte // what it names the value
}

var policies = []policy{
	{mikey.PayloadSPPolicyParamTypeEncrAlg, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSessionEncrKeyLen, []byte{16}, true, 16},
	{mikey.PayloadSPPolicyParamTypeAuthAlg, []byte{1}, true, 1},
	// The key has 20 bytes. The library says 10, which is the length of the tag, and has the right one.
	{mikey.PayloadSPPolicyParamTypeSessionAuthKeyLen, []byte{20, 10}, true, 10},
	{mikey.PayloadSPPolicyParamTypeSessionSaltKeyLen, []byte{14}, false, 0},
	{mikey.PayloadSPPolicyParamTypeSRTPEncrOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSRTCPEncrOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeSRTPAuthOffOn, []byte{1}, true, 1},
	{mikey.PayloadSPPolicyParamTypeAuthTagLen, []byte{10}, false, 0},
}

// Readable returns a message, in base64, as the library reads it, or an empty text when there is no such form. The time in it is now:
// the library refuses those of cameras whose clock is wrong.
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

// allows reports whether what a message says of a parameter, if anything, is what it may.
func (p policy) allows(said *mikey.PayloadSP) bool {
	for _, param := range said.PolicyParams {
		if param.Type == p.kind && (len(param.Value) != 1 || !bytes.Contains(p.values, param.Value)) {
			return false
		}
	}
	return true
}

// ntp is a time in seconds since 1900, and their fraction in 32 bits.
func ntp(t time.Time) uint64 {
	const unixEpoch = 2_208_988_800
	return uint64(t.Unix()+unixEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// data is the message in a header KeyMgmt (RFC 4567, section 4.4).
var data = regexp.MustCompile(`data="([^"]*)"`)

// Header is Readable for the message in a value of a header KeyMgmt. What cannot be read is returned as it is.
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
