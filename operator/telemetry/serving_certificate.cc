// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/serving_certificate.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <sstream>

namespace cutover::telemetry {
namespace {

// It goes with the process, and nobody trusts it for its dates.
constexpr long kValidSeconds = 10L * 365 * 24 * 3600;
constexpr char kCommonName[] = "cutover-operator";
constexpr char kAlternativeNames[] = "DNS:cutover-operator,DNS:localhost,IP:127.0.0.1,IP:::1";

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;

class FixedTls final : public kube::TlsSource {
 public:
  explicit FixedTls(kube::TlsIdentity identity) : identity_(std::move(identity)) {}
  Result<kube::TlsIdentity> Current() override { return identity_; }
  void Invalidate() override {}

 private:
  const kube::TlsIdentity identity_;
};

bool AddExtension(X509& certificate, int name, const char* value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, name, value));
  return extension && X509_add_ext(&certificate, extension.get(), -1) == 1;
}

bool SetSerialNumber(X509& certificate) {
  const Number number(BN_new());
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&certificate)) != nullptr;
}

Certificate SignSelf(EVP_PKEY& key) {
  Certificate certificate(X509_new());
  if (!certificate) return nullptr;
  X509* made = certificate.get();
  X509_NAME* name = X509_get_subject_name(made);
  const auto* text = reinterpret_cast<const unsigned char*>(kCommonName);
  const bool complete =
      X509_set_version(made, X509_VERSION_3) == 1 && SetSerialNumber(*made) &&
      X509_gmtime_adj(X509_getm_notBefore(made), -60) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(made), kValidSeconds) != nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
      X509_set_issuer_name(made, name) == 1 && X509_set_pubkey(made, &key) == 1 &&
      AddExtension(*made, NID_subject_alt_name, kAlternativeNames) &&
      AddExtension(*made, NID_ext_key_usage, "serverAuth") &&
      AddExtension(*made, NID_basic_constraints, "critical,CA:FALSE") &&
      X509_sign(made, &key, EVP_sha256()) != 0;
  return complete ? std::move(certificate) : nullptr;
}

std::string TextOf(BIO& memory) {
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(&memory, &bytes);
  return {bytes, static_cast<size_t>(count)};
}

Result<kube::TlsIdentity> MakeSelfSigned() {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = key ? SignSelf(*key) : nullptr;
  const Bio certificate_pem(BIO_new(BIO_s_mem())), key_pem(BIO_new(BIO_s_mem()));
  if (!certificate || !certificate_pem || !key_pem ||
      PEM_write_bio_X509(certificate_pem.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1)
    return TerminalError("InvalidCertificate", "OpenSSL cannot make a certificate to serve with");
  return kube::TlsIdentity{"", TextOf(*certificate_pem), TextOf(*key_pem)};
}

Result<std::string> Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty())
    return TerminalError(
        "InvalidCertificate",
        "cannot read " + path + ": is a Secret of type kubernetes.io/tls mounted?");
  return text.str();
}

}  // namespace

Result<std::shared_ptr<kube::TlsSource>> ServingCertificate(const std::string& directory,
                                                            const Clock& clock) {
  if (directory.empty()) {
    TRY_ASSIGN(kube::TlsIdentity made, MakeSelfSigned());
    return std::make_shared<FixedTls>(std::move(made));
  }
  const kube::FileTls::Files files{"", directory + "/tls.crt", directory + "/tls.key"};
  kube::TlsIdentity initial;
  TRY_ASSIGN(initial.certificate_pem, Read(files.certificate));
  TRY_ASSIGN(initial.key_pem, Read(files.key));
  return std::make_shared<kube::FileTls>(files, std::move(initial), clock);
}

}  // namespace cutover::telemetry
