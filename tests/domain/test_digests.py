from grantledger.domain.digests import digest


def test_a_digest_is_the_sha_256_of_fips_180_in_base64url():
    assert digest("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def test_a_digest_does_not_hold_the_secret():
    assert "secret" not in digest("secret")
