#include "http/translated.hpp"

#include <system_error>

#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/file.hpp"

namespace plait::http {

void translate_network_error(const url& to) {
  try {
    throw;
  } catch (const net::dns_error& e) {
    throw dns_error(e.what());
  } catch (const net::truncated_stream& e) {
    throw connection_lost(std::string(e.what()) + " (" + to.to_string() + ")");
  } catch (const net::tls_error& e) {
    throw tls_error(std::string(e.what()) + " (" + to.to_string() + ")");
  } catch (const net::connection_closed& e) {
    throw connection_lost(std::string(e.what()) + " (" + to.to_string() + ")");
  } catch (const net::file_error&) {  // the request's body could not be read
    throw;
  } catch (const net::coded_error& e) {
    throw connect_error(e.what(), e.code());
  } catch (const net::error& e) {
    throw connect_error(e.what(), {});
  } catch (const std::system_error& e) {  // the loop cannot watch another descriptor
    throw connect_error(e.what(), e.code());
  }
}

}  // namespace plait::http
